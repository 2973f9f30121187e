-- The lots of the payment that somebody else had frozen when the dispute took the others out
-- of use, with spaces between them: they stay frozen when it is over.
ALTER TABLE payment_disputes ADD COLUMN frozen_before TEXT NOT NULL DEFAULT '';
