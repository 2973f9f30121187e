-- Where organizations are told of what happens. The secret signs; the former one does as
-- well until former_until. disabled says why an endpoint is told nothing more, '' if it is.
CREATE TABLE webhooks (
  organization  TEXT   NOT NULL,
  id            TEXT   NOT NULL,
  url           TEXT   NOT NULL,
  format        TEXT   NOT NULL,
  events        TEXT   NOT NULL,
  description   TEXT   NOT NULL,
  disabled      TEXT   NOT NULL,
  secret        TEXT   NOT NULL,
  former_secret TEXT   NOT NULL,
  former_until  BIGINT NOT NULL,
  created_at    BIGINT NOT NULL,
  PRIMARY KEY (organization, id)
);

-- What an endpoint is told, and what became of it. due_at is when a waiting one is tried
-- next; whoever tries it moves it ahead first, so that nobody else does meanwhile. What
-- stands under code, answer, result and duration is of the last attempt.
CREATE TABLE deliveries (
  organization TEXT   NOT NULL,
  webhook      TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  type         TEXT   NOT NULL,
  body         TEXT   NOT NULL,
  status       TEXT   NOT NULL,
  attempts     BIGINT NOT NULL,
  code         BIGINT NOT NULL,
  answer       TEXT   NOT NULL,
  result       TEXT   NOT NULL,
  duration     BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  due_at       BIGINT NOT NULL,
  ended_at     BIGINT NOT NULL,
  PRIMARY KEY (organization, webhook, id)
);
CREATE INDEX deliveries_due ON deliveries (organization, webhook, due_at, id) WHERE status = 'waiting';
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE status <> 'waiting';

-- Whom an organization wants told of alerts, and when not. Lists are separated by blanks;
-- silent hours are minutes of the day in UTC, and none if both are the same.
CREATE TABLE alert_settings (
  organization TEXT   NOT NULL PRIMARY KEY,
  muted        TEXT   NOT NULL,
  roles        TEXT   NOT NULL,
  addresses    TEXT   NOT NULL,
  silent_from  BIGINT NOT NULL,
  silent_until BIGINT NOT NULL,
  tested_at    BIGINT NOT NULL
);

-- Alerts of silent hours, until these end; users are those who are told, with blanks between.
CREATE TABLE held_alerts (
  organization TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  due_at       BIGINT NOT NULL,
  type         TEXT   NOT NULL,
  line         TEXT   NOT NULL,
  users        TEXT   NOT NULL,
  is_for_all   BIGINT NOT NULL,
  PRIMARY KEY (organization, id)
);
CREATE INDEX held_alerts_due ON held_alerts (due_at);
