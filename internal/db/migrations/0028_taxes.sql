-- A rate holds from a day on, in UTC: of the entries of a country that have begun the last
-- counts. '' is for always.
CREATE TABLE tax_rates_by_day (
  country        TEXT   NOT NULL,
  valid_from     TEXT   NOT NULL,
  name           TEXT   NOT NULL,
  rate           BIGINT NOT NULL,
  reverse_charge BIGINT NOT NULL,
  is_home        BIGINT NOT NULL,
  PRIMARY KEY (country, valid_from)
);
INSERT INTO tax_rates_by_day (country, valid_from, name, rate, reverse_charge, is_home)
  SELECT country, '', name, rate, reverse_charge, is_home FROM tax_rates;
DROP TABLE tax_rates;
ALTER TABLE tax_rates_by_day RENAME TO tax_rates;

-- Whether only a tax id that the operator has verified reverses the charge.
CREATE TABLE tax_settings (
  id            BIGINT NOT NULL PRIMARY KEY,
  verified_only BIGINT NOT NULL
);

-- That the operator has verified the tax id of a profile: on which day, by what, and who.
-- It is gone with another tax id or country.
ALTER TABLE profiles ADD COLUMN tax_id_verified_on TEXT NOT NULL DEFAULT '';
ALTER TABLE profiles ADD COLUMN tax_id_reference TEXT NOT NULL DEFAULT '';
ALTER TABLE profiles ADD COLUMN tax_id_verified_by TEXT NOT NULL DEFAULT '';

-- What the tax of a payment went by, as it was when the payment was made. Payments from
-- before have no rule.
ALTER TABLE payments ADD COLUMN tax_rule TEXT NOT NULL DEFAULT '';
ALTER TABLE payments ADD COLUMN tax_from TEXT NOT NULL DEFAULT '';
ALTER TABLE payments ADD COLUMN tax_id TEXT NOT NULL DEFAULT '';
ALTER TABLE payments ADD COLUMN tax_id_state TEXT NOT NULL DEFAULT '';
ALTER TABLE payments ADD COLUMN tax_id_verified_on TEXT NOT NULL DEFAULT '';
ALTER TABLE payments ADD COLUMN tax_id_reference TEXT NOT NULL DEFAULT '';

-- What auto top-up waits for, and the owners were told of: '' for nothing.
ALTER TABLE auto_top_ups ADD COLUMN waits_for TEXT NOT NULL DEFAULT '';
