-- By which rate card an organization is priced, from an instant on. A later row decides
-- from its instant on: earlier ones that begin then or later never take force. Before the
-- first, and without any, it is the card default.
CREATE TABLE priced_by (
  organization TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  card         TEXT   NOT NULL,
  from_at      BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, no)
);
CREATE INDEX priced_by_card ON priced_by (card);

-- Rate cards that are made from another one: every version of the base makes one of
-- theirs. discount is in percent; rates is JSON, prices in place of the base's.
CREATE TABLE derived_cards (
  name     TEXT   NOT NULL PRIMARY KEY,
  base     TEXT   NOT NULL,
  discount BIGINT NOT NULL,
  rates    TEXT   NOT NULL
);
CREATE INDEX derived_cards_base ON derived_cards (base);

-- What organizations can be on. credits are granted each month, as kind, and expire after
-- credits_days, or with the month if that is 0. features has spaces between.
CREATE TABLE plans (
  name         TEXT   NOT NULL PRIMARY KEY,
  version      BIGINT NOT NULL,
  title        TEXT   NOT NULL,
  description  TEXT   NOT NULL,
  base         TEXT   NOT NULL,
  discount     BIGINT NOT NULL,
  credits      BIGINT NOT NULL,
  credits_kind TEXT   NOT NULL,
  credits_days BIGINT NOT NULL,
  overdraft    BIGINT NOT NULL,
  features     TEXT   NOT NULL,
  by_contract  BIGINT NOT NULL,
  closed       BIGINT NOT NULL,
  changed_at   BIGINT NOT NULL
);

-- What an organization is on when no contract runs; one without a row is on the plan
-- core. next is what it will be on from next_at, "" for no change.
CREATE TABLE subscriptions (
  organization TEXT   NOT NULL PRIMARY KEY,
  version      BIGINT NOT NULL,
  plan         TEXT   NOT NULL,
  since        BIGINT NOT NULL,
  next         TEXT   NOT NULL,
  next_at      BIGINT NOT NULL
);
CREATE INDEX subscriptions_next ON subscriptions (next_at) WHERE next_at > 0;

-- The months whose credits an organization has had: the row comes with the lot.
CREATE TABLE plan_credits (
  organization TEXT   NOT NULL,
  month        BIGINT NOT NULL,
  workspace    TEXT   NOT NULL,
  plan         TEXT   NOT NULL,
  lot          TEXT   NOT NULL,
  amount       BIGINT NOT NULL,
  granted_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, month)
);

-- What organizations ask the operator for, with his offer: both are JSON, quote is "" before
-- there is one. quote_no counts the offers.
CREATE TABLE quote_requests (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  ask          TEXT   NOT NULL,
  quote        TEXT   NOT NULL,
  quote_no     BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  created_by   TEXT   NOT NULL,
  quoted_at    BIGINT NOT NULL,
  valid_until  BIGINT NOT NULL,
  decided_at   BIGINT NOT NULL,
  decided_by   TEXT   NOT NULL,
  contract     TEXT   NOT NULL,
  PRIMARY KEY (organization, id)
);
CREATE INDEX quote_requests_id ON quote_requests (id);

-- What was agreed. terms is the quote that was accepted. ended_at is when it
-- was terminated, 0 if it ends by itself. due_at is when something is to be done for it next, 0 for never again.
CREATE TABLE contracts (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  request      TEXT   NOT NULL,
  plan         TEXT   NOT NULL,
  card         TEXT   NOT NULL,
  terms        TEXT   NOT NULL,
  from_at      BIGINT NOT NULL,
  until_at     BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL,
  fee          BIGINT NOT NULL,
  begun        BIGINT NOT NULL,
  warned       BIGINT NOT NULL,
  closed       BIGINT NOT NULL,
  due_at       BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, id)
);
CREATE INDEX contracts_due ON contracts (due_at) WHERE due_at > 0;

-- The credits that a contract commits, each at its instant. lot is "" until they are granted.
CREATE TABLE contract_lots (
  organization TEXT   NOT NULL,
  contract     TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  at           BIGINT NOT NULL,
  amount       BIGINT NOT NULL,
  lot          TEXT   NOT NULL,
  PRIMARY KEY (organization, contract, no)
);

-- The UTC days on which an organization was looked through for credits that expire soon.
CREATE TABLE expiry_reminders (
  organization TEXT   NOT NULL,
  day          BIGINT NOT NULL,
  PRIMARY KEY (organization, day)
);
CREATE INDEX lots_expiry ON lots (expires_at) WHERE expires_at > 0 AND expired = 0;
