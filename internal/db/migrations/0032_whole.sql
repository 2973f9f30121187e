-- What is booked in a day may come to more than a BIGINT of nano-credits can say. A sum is
-- whole credits and, in amount, nano-credits beside them; rows of before have all in amount.
ALTER TABLE day_sums ADD COLUMN whole BIGINT NOT NULL DEFAULT 0;
ALTER TABLE house_days ADD COLUMN whole BIGINT NOT NULL DEFAULT 0;
