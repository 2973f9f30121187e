-- A provider names a payment method by its own id.
CREATE INDEX payment_methods_theirs ON payment_methods (theirs);
