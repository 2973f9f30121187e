-- A notice of which nobody could be told waits until due_at, and holds up no others.
ALTER TABLE notices ADD COLUMN due_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE notices ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
CREATE INDEX notices_due ON notices (due_at, organization, workspace, no);

-- The kind of alert, by which it can be muted while it waits.
ALTER TABLE held_alerts ADD COLUMN kind TEXT NOT NULL DEFAULT '';

-- The time zone of the silent hours by its IANA name; '' is UTC.
ALTER TABLE alert_settings ADD COLUMN zone TEXT NOT NULL DEFAULT '';

-- What an endpoint was told, page by page of one status; and whether it has taken anything.
CREATE INDEX deliveries_status ON deliveries (organization, webhook, status, id);
CREATE INDEX deliveries_taken ON deliveries (organization, webhook, ended_at) WHERE status = 'delivered';
