-- The servers that use this PostgreSQL together. A row of an installation, not of
-- a tenant; beat_at is by the database's own clock.

CREATE TABLE servers (
  id         TEXT   NOT NULL PRIMARY KEY,
  url        TEXT   NOT NULL,
  roles      TEXT   NOT NULL,
  offers     TEXT   NOT NULL,
  started_at BIGINT NOT NULL,
  beat_at    BIGINT NOT NULL,
  news       BIGINT NOT NULL
);
