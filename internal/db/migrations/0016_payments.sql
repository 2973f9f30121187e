-- Who an organization is at a provider of payments.
CREATE TABLE payment_customers (
  organization TEXT NOT NULL,
  provider     TEXT NOT NULL,
  customer     TEXT NOT NULL,
  PRIMARY KEY (organization, provider)
);
CREATE INDEX payment_customers_of ON payment_customers (customer, provider);

-- What one may show of a saved payment method: the card itself is the provider's alone.
-- The one with the lowest position is the default, the others are its backups in order.
-- due_at is when the provider is told, or told again, that one was removed; 0 for never.
CREATE TABLE payment_methods (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  provider     TEXT   NOT NULL,
  theirs       TEXT   NOT NULL,
  customer     TEXT   NOT NULL,
  kind         TEXT   NOT NULL,
  brand        TEXT   NOT NULL,
  last4        TEXT   NOT NULL,
  exp_month    BIGINT NOT NULL,
  exp_year     BIGINT NOT NULL,
  position     BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  removed_at   BIGINT NOT NULL,
  due_at       BIGINT NOT NULL,
  attempts     BIGINT NOT NULL,
  PRIMARY KEY (organization, id),
  UNIQUE (organization, provider, theirs)
);
CREATE INDEX payment_methods_due ON payment_methods (due_at) WHERE due_at <> 0;

-- Payments. A row is there before the provider hears of it. net is what the credits cost,
-- and how many they are; tax was computed at the rate that stands beside it. due_at is
-- when the provider is asked next what has become of it; whoever asks moves it ahead
-- first. theirs is the provider's id. Of net and tax, refunded and refunded_tax have gone
-- back. dispute is '', open, won or lost. An instant is 0 for never.
CREATE TABLE payments (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  provider     TEXT   NOT NULL,
  kind         TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  net          BIGINT NOT NULL,
  tax          BIGINT NOT NULL,
  tax_country  TEXT   NOT NULL,
  tax_name     TEXT   NOT NULL,
  tax_rate     BIGINT NOT NULL,
  tax_reverse  BIGINT NOT NULL,
  method       TEXT   NOT NULL,
  save         BIGINT NOT NULL,
  page         TEXT   NOT NULL,
  url          TEXT   NOT NULL,
  expires_at   BIGINT NOT NULL,
  theirs       TEXT   NOT NULL,
  lot          TEXT   NOT NULL,
  code         TEXT   NOT NULL,
  reason       TEXT   NOT NULL,
  made_by      TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  due_at       BIGINT NOT NULL,
  attempts     BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL,
  refunded     BIGINT NOT NULL,
  refunded_tax BIGINT NOT NULL,
  dispute      TEXT   NOT NULL,
  PRIMARY KEY (organization, workspace, id)
);
CREATE INDEX payments_due ON payments (due_at) WHERE due_at <> 0;
CREATE INDEX payments_id ON payments (id);
CREATE INDEX payments_theirs ON payments (theirs) WHERE theirs <> '';

-- What went back of payments: the credits were withdrawn in the unit of work that wrote
-- the row. lot is the one that gave them back, if the provider refused in the end.
CREATE TABLE payment_refunds (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  payment      TEXT   NOT NULL,
  provider     TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  net          BIGINT NOT NULL,
  tax          BIGINT NOT NULL,
  theirs       TEXT   NOT NULL,
  lot          TEXT   NOT NULL,
  code         TEXT   NOT NULL,
  reason       TEXT   NOT NULL,
  made_by      TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  due_at       BIGINT NOT NULL,
  attempts     BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, id)
);
CREATE INDEX payment_refunds_due ON payment_refunds (due_at) WHERE due_at <> 0;
CREATE INDEX payment_refunds_of ON payment_refunds (organization, workspace, payment);
CREATE INDEX payment_refunds_id ON payment_refunds (id);

-- Payments that the payer's bank contests. id is the provider's. froze says whether the
-- lot was frozen for it, and is_done whether the books have followed the status.
CREATE TABLE payment_disputes (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  payment      TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  froze        BIGINT NOT NULL,
  is_done      BIGINT NOT NULL,
  withdrawn    BIGINT NOT NULL,
  tax          BIGINT NOT NULL,
  loss         BIGINT NOT NULL,
  opened_at    BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, payment, id)
);

-- The notices of providers that were taken, so that one that comes again does nothing:
-- rows of the installation.
CREATE TABLE payment_notices (
  provider TEXT   NOT NULL,
  id       TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  PRIMARY KEY (provider, id)
);
CREATE INDEX payment_notices_at ON payment_notices (at);

-- Auto top-up of a workspace. target or amount is 0. payment is the one in flight, begun
-- at started_at; failures are rounds in a row in which no method paid. due_at is when to
-- look at the wallet next. told_at is the end of the
-- window of which the owners were told that its ceiling is reached.
CREATE TABLE auto_top_ups (
  organization  TEXT   NOT NULL,
  workspace     TEXT   NOT NULL,
  is_on         BIGINT NOT NULL,
  threshold     BIGINT NOT NULL,
  target        BIGINT NOT NULL,
  amount        BIGINT NOT NULL,
  day_ceiling   BIGINT NOT NULL,
  month_ceiling BIGINT NOT NULL,
  failures      BIGINT NOT NULL,
  payment       TEXT   NOT NULL,
  started_at    BIGINT NOT NULL,
  told_at       BIGINT NOT NULL,
  due_at        BIGINT NOT NULL,
  changed_at    BIGINT NOT NULL,
  changed_by    TEXT   NOT NULL,
  off_reason    TEXT   NOT NULL,
  PRIMARY KEY (organization, workspace)
);
CREATE INDEX auto_top_ups_on ON auto_top_ups (due_at) WHERE is_on = 1;

-- The provider that ships for trying out. These rows are its own: what a real one has in
-- its own house. card says how it behaves, due_at when something happens by itself.
CREATE TABLE sandbox_payments (
  id           TEXT   NOT NULL PRIMARY KEY,
  payment      TEXT   NOT NULL UNIQUE,
  organization TEXT   NOT NULL,
  customer     TEXT   NOT NULL,
  method       TEXT   NOT NULL,
  card         TEXT   NOT NULL,
  amount       BIGINT NOT NULL,
  description  TEXT   NOT NULL,
  save         BIGINT NOT NULL,
  back         TEXT   NOT NULL,
  cancel       TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  code         TEXT   NOT NULL,
  expires_at   BIGINT NOT NULL,
  due_at       BIGINT NOT NULL,
  dispute      TEXT   NOT NULL,
  refunded     BIGINT NOT NULL
);
CREATE INDEX sandbox_payments_due ON sandbox_payments (due_at) WHERE due_at <> 0;
CREATE TABLE sandbox_methods (
  id           TEXT   NOT NULL PRIMARY KEY,
  organization TEXT   NOT NULL,
  customer     TEXT   NOT NULL,
  card         TEXT   NOT NULL,
  back         TEXT   NOT NULL,
  cancel       TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  expires_at   BIGINT NOT NULL
);
CREATE TABLE sandbox_refunds (
  id      TEXT   NOT NULL PRIMARY KEY,
  payment TEXT   NOT NULL,
  amount  BIGINT NOT NULL,
  status  TEXT   NOT NULL
);
CREATE TABLE sandbox_notices (
  id       TEXT   NOT NULL PRIMARY KEY,
  body     TEXT   NOT NULL,
  due_at   BIGINT NOT NULL,
  attempts BIGINT NOT NULL
);
CREATE INDEX sandbox_notices_due ON sandbox_notices (due_at);
CREATE TABLE sandbox_secrets (
  name   TEXT NOT NULL PRIMARY KEY,
  secret TEXT NOT NULL
);
