-- What a person is in an organization, or in one project of it (project is '' for
-- all of the organization).
CREATE TABLE memberships (
  organization TEXT   NOT NULL,
  user_id      TEXT   NOT NULL,
  project      TEXT   NOT NULL,
  role         TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, user_id, project)
);
CREATE INDEX memberships_user ON memberships (user_id);

-- What an organization has decided about itself, and to whom its bills go. One
-- without a row has decided nothing. An instant is 0 for never.
CREATE TABLE profiles (
  organization       TEXT   NOT NULL PRIMARY KEY,
  require_two_factor BIGINT NOT NULL,
  default_role       TEXT   NOT NULL,
  billing_email      TEXT   NOT NULL,
  legal_name         TEXT   NOT NULL,
  address            TEXT   NOT NULL,
  tax_id             TEXT   NOT NULL,
  archived_at        BIGINT NOT NULL
);

-- Who was asked to join. The secret of the mailed link is kept as a digest.
CREATE TABLE invitations (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  email        TEXT   NOT NULL,
  project      TEXT   NOT NULL,
  role         TEXT   NOT NULL,
  secret       TEXT   NOT NULL,
  invited_by   TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  accepted_at  BIGINT NOT NULL,
  accepted_by  TEXT   NOT NULL,
  revoked_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, id)
);
CREATE INDEX invitations_secret ON invitations (secret);
CREATE INDEX invitations_email ON invitations (email);

-- What programs are known by. scopes are short names of actions and networks are
-- CIDR, with spaces between; project and workspace are '' for all.
CREATE TABLE tokens (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  user_id      TEXT   NOT NULL,
  name         TEXT   NOT NULL,
  project      TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  scopes       TEXT   NOT NULL,
  networks     TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  revoked_at   BIGINT NOT NULL,
  last_used_at BIGINT NOT NULL,
  PRIMARY KEY (organization, id)
);
CREATE INDEX tokens_user ON tokens (organization, user_id);

-- The digests by which a token is found before its organization is known. One that
-- is being rotated has two.
CREATE TABLE token_hashes (
  hash         TEXT   NOT NULL PRIMARY KEY,
  organization TEXT   NOT NULL,
  token        TEXT   NOT NULL,
  expires_at   BIGINT NOT NULL
);
CREATE INDEX token_hashes_token ON token_hashes (organization, token);
