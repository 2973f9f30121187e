-- How customers pay what is invoiced on account, as the operator has said it.
ALTER TABLE seller ADD COLUMN instructions TEXT NOT NULL DEFAULT '';

-- The invoices that are paid later, by a transfer, and how each stands. lot is of the
-- credits that came with it, "" for a fee; contract is what it is by. withdrawn is what a
-- credit note took back of the lot. open_amount is net and tax less what was paid and
-- credited. told counts the reminders, next_at is when the next is due, 0 for none.
CREATE TABLE receivables (
  organization TEXT   NOT NULL,
  invoice      TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  contract     TEXT   NOT NULL,
  lot          TEXT   NOT NULL,
  net          BIGINT NOT NULL,
  tax          BIGINT NOT NULL,
  paid_net     BIGINT NOT NULL,
  paid_tax     BIGINT NOT NULL,
  credited_net BIGINT NOT NULL,
  credited_tax BIGINT NOT NULL,
  credited_at  BIGINT NOT NULL,
  withdrawn    BIGINT NOT NULL,
  open_amount  BIGINT NOT NULL,
  issued_at    BIGINT NOT NULL,
  due_at       BIGINT NOT NULL,
  changed_at   BIGINT NOT NULL,
  told         BIGINT NOT NULL,
  next_at      BIGINT NOT NULL,
  PRIMARY KEY (organization, invoice)
);
CREATE INDEX receivables_next ON receivables (next_at) WHERE next_at > 0;
CREATE INDEX receivables_open ON receivables (invoice) WHERE open_amount > 0;

-- What was paid of them by bank, as the operator has recorded it: its parts for what was
-- invoiced and for the tax. A row that was recorded wrongly is reversed, and stays.
CREATE TABLE bank_payments (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  invoice      TEXT   NOT NULL,
  net          BIGINT NOT NULL,
  tax          BIGINT NOT NULL,
  paid_on      TEXT   NOT NULL,
  reference    TEXT   NOT NULL,
  recorded_at  BIGINT NOT NULL,
  recorded_by  TEXT   NOT NULL,
  reversed_at  BIGINT NOT NULL,
  reversed_by  TEXT   NOT NULL,
  reason       TEXT   NOT NULL,
  PRIMARY KEY (organization, id)
);
CREATE INDEX bank_payments_invoice ON bank_payments (organization, invoice);
