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

-- Who is signed in. A token is kept as its digest alone. The cookie of a browser and
-- the token of a command line differ in kind.
CREATE TABLE sessions (
  id         TEXT   NOT NULL PRIMARY KEY,
  digest     TEXT   NOT NULL UNIQUE,
  user_id    TEXT   NOT NULL,
  kind       TEXT   NOT NULL,
  agent      TEXT   NOT NULL,
  address    TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  used_at    BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_due ON sessions (expires_at);

-- What a mailed link does when it is confirmed. password is the hash that it brings
-- into force, '' for none.
CREATE TABLE mailed_links (
  digest     TEXT   NOT NULL PRIMARY KEY,
  user_id    TEXT   NOT NULL,
  purpose    TEXT   NOT NULL,
  email      TEXT   NOT NULL,
  password   TEXT   NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX mailed_links_of_user ON mailed_links (user_id, purpose);
CREATE INDEX mailed_links_due ON mailed_links (expires_at);

-- How often somebody tried in vain, and from when on the next attempt counts.
CREATE TABLE attempts (
  subject  TEXT   NOT NULL PRIMARY KEY,
  failures BIGINT NOT NULL,
  tried_at BIGINT NOT NULL,
  retry_at BIGINT NOT NULL
);
CREATE INDEX attempts_by_age ON attempts (tried_at);

-- From where a person has signed in before.
CREATE TABLE familiar_addresses (
  user_id TEXT   NOT NULL,
  address TEXT   NOT NULL,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, address)
);

-- The second factor: step is the last time step whose code was taken, confirmed_at is
-- 0 until the first was.
CREATE TABLE authenticators (
  user_id      TEXT   NOT NULL PRIMARY KEY,
  secret       TEXT   NOT NULL,
  step         BIGINT NOT NULL,
  confirmed_at BIGINT NOT NULL
);
CREATE TABLE recovery_codes (
  user_id TEXT NOT NULL,
  digest  TEXT NOT NULL,
  PRIMARY KEY (user_id, digest)
);

-- Command lines that wait to be signed in. user_id is '' until a person has said so,
-- and '-' if one has refused.
CREATE TABLE device_codes (
  digest     TEXT   NOT NULL PRIMARY KEY,
  user_code  TEXT   NOT NULL UNIQUE,
  user_id    TEXT   NOT NULL,
  agent      TEXT   NOT NULL,
  address    TEXT   NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX device_codes_due ON device_codes (expires_at);
