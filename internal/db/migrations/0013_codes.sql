-- What the operator gives away by code: rows of the installation, because a code is
-- found before it is known whose it becomes. scope is JSON, domains have spaces between.
-- redeemed and redemptions are what was granted so far, codes how many were made. An
-- instant, a budget and a limit are 0 for none.
CREATE TABLE campaigns (
  id               TEXT   NOT NULL PRIMARY KEY,
  slug             TEXT   NOT NULL UNIQUE,
  name             TEXT   NOT NULL,
  amount           BIGINT NOT NULL,
  scope            TEXT   NOT NULL,
  expires_at       BIGINT NOT NULL,
  expires_days     BIGINT NOT NULL,
  uses             BIGINT NOT NULL,
  per_organization BIGINT NOT NULL,
  domains          TEXT   NOT NULL,
  starts_at        BIGINT NOT NULL,
  ends_at          BIGINT NOT NULL,
  budget           BIGINT NOT NULL,
  redeemed         BIGINT NOT NULL,
  redemptions      BIGINT NOT NULL,
  codes            BIGINT NOT NULL,
  created_at       BIGINT NOT NULL,
  closed_at        BIGINT NOT NULL
);

-- What is printed, kept as a digest. no counts the codes of a campaign from 1: it stands
-- on the card, and names the code without being one. uses is how often it was redeemed.
CREATE TABLE codes (
  digest     TEXT   NOT NULL PRIMARY KEY,
  campaign   TEXT   NOT NULL,
  no         BIGINT NOT NULL,
  uses       BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  revoked_at BIGINT NOT NULL,
  UNIQUE (campaign, no)
);

-- What organizations have redeemed, each with the lot that it became. redeemed_by is a
-- user, a token or the operator.
CREATE TABLE redemptions (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  campaign     TEXT   NOT NULL,
  code         BIGINT NOT NULL,
  lot          TEXT   NOT NULL,
  amount       BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  redeemed_at  BIGINT NOT NULL,
  redeemed_by  TEXT   NOT NULL,
  PRIMARY KEY (organization, id)
);
CREATE INDEX redemptions_organization ON redemptions (organization, campaign, code);
CREATE INDEX redemptions_campaign ON redemptions (campaign, id);
CREATE INDEX redemptions_code ON redemptions (campaign, code);
