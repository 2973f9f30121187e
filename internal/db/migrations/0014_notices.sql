-- Of which events of wallets somebody is still to be told: a row is written with its
-- event, and goes in the unit of work that writes the mails about it.
CREATE TABLE notices (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, no)
);
