-- What is added to a purchase by law: the rate of each country in which tax is
-- collected, in millionths, and whether a business of another country there owes it by
-- itself (reverse charge). The seller's own country is the one with is_home = 1.
CREATE TABLE tax_rates (
  country        TEXT   NOT NULL PRIMARY KEY,
  name           TEXT   NOT NULL,
  rate           BIGINT NOT NULL,
  reverse_charge BIGINT NOT NULL,
  is_home        BIGINT NOT NULL
);

-- Where the customer is by law, and the reference that its invoices carry.
ALTER TABLE profiles ADD COLUMN country TEXT NOT NULL DEFAULT '';
ALTER TABLE profiles ADD COLUMN reference TEXT NOT NULL DEFAULT '';
