-- The overdraft that a plan or contract has given an organization's default workspace, and
-- the one that it had of its own, which stands again when the plan's ends.
CREATE TABLE plan_overdrafts (
  organization TEXT   NOT NULL PRIMARY KEY,
  given        BIGINT NOT NULL,
  own          BIGINT NOT NULL
);

-- The lots of which it was told that they expire, and how many days before that was due.
CREATE TABLE lot_reminders (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  lot          TEXT   NOT NULL,
  days         BIGINT NOT NULL,
  told_at      BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, lot, days)
);
DROP TABLE expiry_reminders;

-- Until now no plan was refused single sign-on: those that there are keep it.
UPDATE plans SET features = 'sso' WHERE features = '';
UPDATE plans SET features = 'sla sso' WHERE features = 'sla';
UPDATE plans SET features = 'sso support' WHERE features = 'support';
UPDATE plans SET features = 'sla sso support' WHERE features = 'sla support';
