-- Single sign-on. The provider of an organization is its own; that of the installation
-- stands in the settings of the server. The secret is kept as it is, for it must be sent.
CREATE TABLE sso_providers (
  organization  TEXT   NOT NULL PRIMARY KEY,
  issuer        TEXT   NOT NULL,
  client_id     TEXT   NOT NULL,
  client_secret TEXT   NOT NULL,
  default_role  TEXT   NOT NULL,
  is_required   BIGINT NOT NULL,
  changed_at    BIGINT NOT NULL
);

-- Which organization a mail domain belongs to: of the whole installation, for a person is
-- known by an address and by nothing else. Until the operator has confirmed it
-- (confirmed_at is 0) it stands for nothing, and others may claim it too.
CREATE TABLE sso_domains (
  domain       TEXT   NOT NULL,
  organization TEXT   NOT NULL,
  claimed_at   BIGINT NOT NULL,
  confirmed_at BIGINT NOT NULL,
  PRIMARY KEY (domain, organization)
);
CREATE UNIQUE INDEX sso_domains_confirmed ON sso_domains (domain) WHERE confirmed_at <> 0;
CREATE INDEX sso_domains_of ON sso_domains (organization);

-- Who a provider says somebody is: for the organization that set it up, or with '' for the
-- installation. Two that use the same issuer have each made sure for themselves.
CREATE TABLE identities (
  organization TEXT   NOT NULL,
  issuer       TEXT   NOT NULL,
  subject      TEXT   NOT NULL,
  user_id      TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, issuer, subject)
);
CREATE INDEX identities_of_user ON identities (user_id, organization);

-- Browsers that are away at a provider: digest is of what comes back in the address,
-- browser of what stays in the cookie. user_id is '' until it has come back and a code of
-- the second factor is waited for.
CREATE TABLE sso_visits (
  digest       TEXT   NOT NULL PRIMARY KEY,
  browser      TEXT   NOT NULL,
  organization TEXT   NOT NULL,
  nonce        TEXT   NOT NULL,
  verifier     TEXT   NOT NULL,
  next         TEXT   NOT NULL,
  user_id      TEXT   NOT NULL,
  expires_at   BIGINT NOT NULL
);
CREATE INDEX sso_visits_due ON sso_visits (expires_at);

-- By whose provider a session, and a command line that such a session signed in, began:
-- '' by password, 'operator', or the id of an organization.
ALTER TABLE sessions ADD COLUMN sso TEXT NOT NULL DEFAULT '';
ALTER TABLE device_codes ADD COLUMN sso TEXT NOT NULL DEFAULT '';
