-- Mails that are to be sent.
CREATE TABLE mails (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  address      TEXT   NOT NULL,
  template     TEXT   NOT NULL,
  data         TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, id)
);
