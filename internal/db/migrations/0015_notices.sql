-- Of which events of wallets somebody is still to be told: a row is written with its
-- event, and goes in the unit of work that writes the mails about it.
CREATE TABLE notices (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, no)
);

-- What of a total's amount was booked as the operator's loss: nobody paid it. For what
-- there is, it is computed once: a refund takes of a charge what was lost first, since
-- that is its last slice.
ALTER TABLE totals ADD COLUMN overrun BIGINT NOT NULL DEFAULT 0;
UPDATE totals SET overrun = lost.overrun FROM (
  SELECT c.organization, c.workspace, c.from_at - c.from_at % 3600000000000 AS hour, c.project, c.user_id, c.job, c.sku, c.tier, c.unit,
    CAST(SUM(CASE WHEN c.refunded < p.amount THEN p.amount - c.refunded ELSE 0 END) AS BIGINT) AS overrun
  FROM postings p JOIN charges c ON c.organization = p.organization AND c.workspace = p.workspace AND c.no = p.charge
  WHERE p.kind = 'overrun'
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9) AS lost
WHERE totals.organization = lost.organization AND totals.workspace = lost.workspace AND totals.hour = lost.hour
  AND totals.project = lost.project AND totals.user_id = lost.user_id AND totals.job = lost.job AND totals.sku = lost.sku
  AND totals.tier = lost.tier AND totals.unit = lost.unit;
