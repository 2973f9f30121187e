-- Who a person is, whatever they belong to: rows of the installation, not of a
-- tenant. email is in lower case; an instant is 0 for never.
CREATE TABLE users (
  id          TEXT   NOT NULL PRIMARY KEY,
  email       TEXT   NOT NULL UNIQUE,
  name        TEXT   NOT NULL,
  password    TEXT   NOT NULL,
  verified_at BIGINT NOT NULL,
  created_at  BIGINT NOT NULL
);
