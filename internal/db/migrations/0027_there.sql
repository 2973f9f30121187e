-- Refunds that were made at the provider are found by its id of them. unbooked is money that
-- went back beyond what was left of the payment: it is booked when so much is left again, as
-- a further part of the same refund.
ALTER TABLE payment_refunds ADD COLUMN unbooked BIGINT NOT NULL DEFAULT 0;
ALTER TABLE payment_refunds ADD COLUMN part BIGINT NOT NULL DEFAULT 0;
UPDATE payment_refunds SET theirs = theirs || '/' || id WHERE theirs <> '' AND EXISTS (SELECT 1 FROM payment_refunds AS o
  WHERE o.organization = payment_refunds.organization AND o.workspace = payment_refunds.workspace AND o.payment = payment_refunds.payment
    AND o.theirs = payment_refunds.theirs AND o.id < payment_refunds.id);
CREATE UNIQUE INDEX payment_refunds_theirs ON payment_refunds (organization, workspace, payment, theirs, part) WHERE theirs <> '';
