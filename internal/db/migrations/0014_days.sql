-- What the postings of a UTC day come to, by kind, accounts and SKU: sums of what stands
-- in the postings, which can be made again from them. In the accounts a lot is known by
-- its kind (credits/purchased). day_covers says up to which posting of a wallet its sums
-- go; those above are summed when they are asked for. house_days is day_sums over all
-- wallets: rows of the installation, like the accounts that they tell of.
CREATE TABLE day_sums (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  day          BIGINT NOT NULL,
  kind         TEXT   NOT NULL,
  debit        TEXT   NOT NULL,
  credit       TEXT   NOT NULL,
  sku          TEXT   NOT NULL,
  amount       BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, day, kind, debit, credit, sku)
);
CREATE TABLE day_covers (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace)
);
CREATE TABLE house_days (
  day    BIGINT NOT NULL,
  kind   TEXT   NOT NULL,
  debit  TEXT   NOT NULL,
  credit TEXT   NOT NULL,
  sku    TEXT   NOT NULL,
  amount BIGINT NOT NULL,
  PRIMARY KEY (day, kind, debit, credit, sku)
);
