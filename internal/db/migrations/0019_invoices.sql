-- What was issued: invoices, credit notes and statements. content is the whole document
-- as canonical JSON, digest its SHA-256: everything that is ever shown of a document is
-- made from it. source is what a document is about and has one of its kind: a payment, a
-- refund, or the beginning of a period.
CREATE TABLE invoices (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  kind         TEXT   NOT NULL,
  number       TEXT   NOT NULL,
  source       TEXT   NOT NULL,
  at           BIGINT NOT NULL,
  content      TEXT   NOT NULL,
  digest       TEXT   NOT NULL,
  PRIMARY KEY (organization, id),
  UNIQUE (organization, kind, source),
  UNIQUE (organization, number)
);

-- The last number of each series of the seller's: INV-2026. A row is locked from the end
-- of a batch of units to its commit, and by nothing else.
CREATE TABLE series (
  name TEXT   NOT NULL PRIMARY KEY,
  last BIGINT NOT NULL
);

-- Who sells, as the operator has said it; without the row nobody has.
CREATE TABLE seller (
  id                 BIGINT NOT NULL PRIMARY KEY,
  legal_name         TEXT   NOT NULL,
  address            TEXT   NOT NULL,
  tax_id             TEXT   NOT NULL,
  country            TEXT   NOT NULL,
  email              TEXT   NOT NULL,
  footer             TEXT   NOT NULL,
  invoice_prefix     TEXT   NOT NULL,
  credit_note_prefix TEXT   NOT NULL,
  statement_prefix   TEXT   NOT NULL
);

-- Up to when the statements of an organization have been made; without a row none was.
-- problem is why the next one could not be.
CREATE TABLE statement_cycles (
  organization TEXT   NOT NULL PRIMARY KEY,
  stated_to    BIGINT NOT NULL,
  problem      TEXT   NOT NULL
);
