-- Instants are Unix nanoseconds, 0 for none; money is nano-credits; quantities
-- are micro-units. Tenant tables begin their keys with the organization, then
-- the workspace. The texts run on SQLite and on PostgreSQL.

-- ---------------------------------------------------------------- tenants
CREATE TABLE organizations (
  id         TEXT   NOT NULL PRIMARY KEY,
  slug       TEXT   NOT NULL UNIQUE,
  name       TEXT   NOT NULL,
  type       TEXT   NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE workspaces (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  slug         TEXT   NOT NULL,
  name         TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, id),
  UNIQUE (organization, slug)
);
CREATE INDEX workspaces_id ON workspaces (id);

-- ---------------------------------------------------------------- wallets
-- A wallet's rows are its state; version counts its changes, and every row says
-- which version wrote it.
CREATE TABLE wallets (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  version      BIGINT NOT NULL,
  at           BIGINT NOT NULL,
  wake_at      BIGINT NOT NULL,
  policy       TEXT   NOT NULL,
  alert_of     BIGINT NOT NULL,
  fired        TEXT   NOT NULL,
  closed       BIGINT NOT NULL,
  next_posting BIGINT NOT NULL,
  next_charge  BIGINT NOT NULL,
  next_event   BIGINT NOT NULL,
  next_mark    BIGINT NOT NULL,
  next_journal BIGINT NOT NULL,
  head         TEXT   NOT NULL,
  journal_head TEXT   NOT NULL,
  sealed       BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (organization, workspace)
);
CREATE INDEX wallets_wake ON wallets (wake_at) WHERE wake_at > 0;

CREATE TABLE lots (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  version      BIGINT NOT NULL,
  kind         TEXT   NOT NULL,
  amount       BIGINT NOT NULL,
  remaining    BIGINT NOT NULL,
  free         BIGINT NOT NULL,
  priority     BIGINT NOT NULL,
  scope        TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  effective_at BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  frozen       BIGINT NOT NULL,
  expired      BIGINT NOT NULL,
  source       TEXT   NOT NULL,
  reason       TEXT   NOT NULL,
  cost_basis   BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, id)
);

CREATE TABLE flows (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  version      BIGINT NOT NULL,
  project      TEXT   NOT NULL,
  user_id      TEXT   NOT NULL,
  job          TEXT   NOT NULL,
  key_id       TEXT   NOT NULL,
  label        TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  reason       TEXT   NOT NULL,
  ended        BIGINT NOT NULL,
  items        TEXT   NOT NULL,
  started_at   BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL,
  since        BIGINT NOT NULL,
  changed_at   BIGINT NOT NULL,
  settled_at   BIGINT NOT NULL,
  charged      BIGINT NOT NULL,
  hold         TEXT   NOT NULL,
  grace        BIGINT NOT NULL,
  lease        BIGINT NOT NULL,
  holder       TEXT   NOT NULL,
  until_at     BIGINT NOT NULL,
  signaled     BIGINT NOT NULL,
  storage      BIGINT NOT NULL,
  retained_at  BIGINT NOT NULL,
  owed         BIGINT NOT NULL,
  reminded     BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, id)
);
CREATE INDEX flows_running ON flows (organization, workspace, id) WHERE ended = 0;

CREATE TABLE holds (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  version      BIGINT NOT NULL,
  status       TEXT   NOT NULL,
  amount       BIGINT NOT NULL,
  original     BIGINT NOT NULL,
  captured     BIGINT NOT NULL,
  slices       TEXT   NOT NULL,
  skus         TEXT   NOT NULL,
  tier         TEXT   NOT NULL,
  region       TEXT   NOT NULL,
  project      TEXT   NOT NULL,
  user_id      TEXT   NOT NULL,
  key_id       TEXT   NOT NULL,
  flow         TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  expires_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, id)
);
CREATE INDEX holds_open ON holds (organization, workspace, id) WHERE status = 'held';

CREATE TABLE budgets (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  version      BIGINT NOT NULL,
  key_kind     TEXT   NOT NULL,
  key_value    TEXT   NOT NULL,
  amount       BIGINT NOT NULL,
  span         TEXT   NOT NULL,
  hours        BIGINT NOT NULL,
  hard         BIGINT NOT NULL,
  window_from  BIGINT NOT NULL,
  spent        BIGINT NOT NULL,
  past         TEXT   NOT NULL,
  fired        BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, id)
);

-- The timeline: when which lot could be used.
CREATE TABLE marks (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  at           BIGINT NOT NULL,
  lot          TEXT   NOT NULL,
  usable       BIGINT NOT NULL,
  cut          TEXT   NOT NULL,
  PRIMARY KEY (organization, workspace, no)
);

-- ------------------------------------------------------------------ books
-- Never updated, never deleted, but for charges.refunded.
CREATE TABLE postings (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  at           BIGINT NOT NULL,
  kind         TEXT   NOT NULL,
  debit        TEXT   NOT NULL,
  credit       TEXT   NOT NULL,
  amount       BIGINT NOT NULL,
  charge       BIGINT NOT NULL,
  corrects     BIGINT NOT NULL,
  transfer     TEXT   NOT NULL,
  hash         TEXT   NOT NULL,
  prev_hash    TEXT   NOT NULL,
  PRIMARY KEY (organization, workspace, no)
);

CREATE TABLE charges (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  at           BIGINT NOT NULL,
  flow         TEXT   NOT NULL,
  item         BIGINT NOT NULL,
  hold         TEXT   NOT NULL,
  event        TEXT   NOT NULL,
  sku          TEXT   NOT NULL,
  tier         TEXT   NOT NULL,
  region       TEXT   NOT NULL,
  project      TEXT   NOT NULL,
  user_id      TEXT   NOT NULL,
  job          TEXT   NOT NULL,
  key_id       TEXT   NOT NULL,
  unit         TEXT   NOT NULL,
  quantity     BIGINT NOT NULL,
  from_at      BIGINT NOT NULL,
  to_at        BIGINT NOT NULL,
  price        BIGINT NOT NULL,
  card         TEXT   NOT NULL,
  card_version BIGINT NOT NULL,
  rate         BIGINT NOT NULL,
  period       BIGINT NOT NULL,
  rem          TEXT   NOT NULL,
  amount       BIGINT NOT NULL,
  waived       BIGINT NOT NULL,
  slices       TEXT   NOT NULL,
  refunded     BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, no)
);
CREATE INDEX charges_flow ON charges (organization, workspace, flow, no) WHERE flow <> '';
CREATE INDEX charges_job ON charges (organization, workspace, job, no) WHERE job <> '';

CREATE TABLE totals (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  hour         BIGINT NOT NULL,
  project      TEXT   NOT NULL,
  user_id      TEXT   NOT NULL,
  job          TEXT   NOT NULL,
  sku          TEXT   NOT NULL,
  tier         TEXT   NOT NULL,
  provider     TEXT   NOT NULL,
  unit         TEXT   NOT NULL,
  quantity     BIGINT NOT NULL,
  amount       BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, hour, project, user_id, job, sku, tier, provider, unit)
);

CREATE TABLE events (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  at           BIGINT NOT NULL,
  kind         TEXT   NOT NULL,
  subject      TEXT   NOT NULL,
  data         TEXT   NOT NULL,
  PRIMARY KEY (organization, workspace, no)
);

-- The journal of accepted commands: what verify replays, and the record of
-- idempotency keys at once. A command that came with a key carries the digest of
-- its request and the answer; workspace is '' for a request to an organization,
-- and organization too for one to the installation: those have command ''. Its
-- rows are chained by hash like postings: an edited answer shows.
CREATE TABLE journal (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  no           BIGINT NOT NULL,
  at           BIGINT NOT NULL,
  kind         TEXT   NOT NULL,
  command      TEXT   NOT NULL,
  route        TEXT,
  key          TEXT,
  digest       TEXT   NOT NULL,
  status       BIGINT NOT NULL,
  answer       TEXT   NOT NULL,
  hash         TEXT   NOT NULL,
  PRIMARY KEY (organization, workspace, no)
);
CREATE UNIQUE INDEX journal_key ON journal (organization, workspace, route, key) WHERE key IS NOT NULL;

-- A seal anchors the heads of all chains at an instant: it names, by wallet, the
-- heads that moved since the seal before it (wallets.sealed is the last journal
-- number that a seal covers).
CREATE TABLE seals (
  no        BIGINT NOT NULL PRIMARY KEY,
  at        BIGINT NOT NULL,
  wallets   BIGINT NOT NULL,
  heads     TEXT   NOT NULL,
  prev_hash TEXT   NOT NULL,
  hash      TEXT   NOT NULL
);

-- ------------------------------------------------------------------ usage
CREATE TABLE usage_events (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  source       TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  at           BIGINT NOT NULL,
  digest       TEXT   NOT NULL,
  charge       BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, source, id)
);

-- Leases are renewed here, without touching the wallet. The holder must stop by
-- itself at until_at and has stopped grace later, at lapse_at.
CREATE TABLE leases (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  holder       TEXT   NOT NULL,
  until_at     BIGINT NOT NULL,
  grace        BIGINT NOT NULL,
  lapse_at     BIGINT NOT NULL,
  proof        BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, holder)
);
CREATE INDEX leases_lapse ON leases (lapse_at);

-- ----------------------------------------------------------------- prices
CREATE TABLE rate_cards (
  name         TEXT   NOT NULL,
  version      BIGINT NOT NULL,
  effective_at BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  skus         TEXT   NOT NULL,
  PRIMARY KEY (name, version)
);

-- ------------------------------------------------------------------- jobs
CREATE TABLE jobs (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  project      TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  ended        BIGINT NOT NULL,
  spec         TEXT   NOT NULL,
  state        TEXT   NOT NULL,
  flow         TEXT   NOT NULL,
  hold         TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  started_at   BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, id)
);
CREATE INDEX jobs_active ON jobs (created_at, id) WHERE ended = 0;
CREATE INDEX jobs_id ON jobs (id);
