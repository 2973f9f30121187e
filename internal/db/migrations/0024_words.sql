-- A dispute may be over a part of a payment: amount is of money, tax included; 0 for all.
ALTER TABLE payment_disputes ADD COLUMN amount BIGINT NOT NULL DEFAULT 0;

-- What of a refund had been used when it was made at the provider: the operator's loss.
ALTER TABLE payment_refunds ADD COLUMN loss BIGINT NOT NULL DEFAULT 0;

-- What a provider told of payments before it told that they were paid: rows of the
-- installation, since it is not known yet whose they are. theirs is the provider's id of
-- the payment, or ours if that is known.
CREATE TABLE payment_early_words (
  provider TEXT   NOT NULL,
  theirs   TEXT   NOT NULL,
  id       TEXT   NOT NULL,
  word     TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  PRIMARY KEY (provider, theirs, id)
);
CREATE INDEX payment_early_words_at ON payment_early_words (at);
