-- Mails that are to be sent, and what became of them: rows of the installation,
-- because a person need not belong to an organization; organization is '' then. data is
-- what the text is made of, links with secrets among it: it is emptied when the mail was
-- sent, given up or has expired. due_at is when a waiting mail is tried next; whoever
-- tries it moves it ahead first, so that nobody else does meanwhile. An instant is 0 for
-- never.
CREATE TABLE mails (
  id           TEXT   NOT NULL PRIMARY KEY,
  organization TEXT   NOT NULL,
  recipient    TEXT   NOT NULL,
  template     TEXT   NOT NULL,
  data         TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  attempts     BIGINT NOT NULL,
  result       TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  due_at       BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL
);
CREATE INDEX mails_due ON mails (status, due_at);
