-- Who did what: what the audit log of an organization is looked through by (that of
-- the installation has organization ''; workspace is ''). Each row finds an entry of
-- the journal of the same number, which holds the whole of it: what it was about before
-- and after, and from where.
CREATE TABLE audit (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  at           BIGINT NOT NULL,
  actor        TEXT   NOT NULL,
  action       TEXT   NOT NULL,
  target       TEXT   NOT NULL,
  PRIMARY KEY (organization, workspace, no)
);
