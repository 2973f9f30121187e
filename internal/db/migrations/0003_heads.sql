-- The ends of the journals that have no wallet: those of the requests to an
-- organization (workspace is '') and to the installation (organization too). A wallet
-- keeps that of its own; sealed is the last number that a seal covers.
CREATE TABLE heads (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  next_journal BIGINT NOT NULL,
  journal_head TEXT   NOT NULL,
  sealed       BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (organization, workspace)
);
INSERT INTO heads (organization, workspace, next_journal, journal_head)
SELECT j.organization, j.workspace, j.no + 1, j.hash FROM journal j
JOIN (SELECT organization, workspace, MAX(no) AS no FROM journal WHERE workspace = '' GROUP BY organization, workspace) last
  ON last.organization = j.organization AND last.workspace = j.workspace AND last.no = j.no;
