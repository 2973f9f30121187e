-- Mails that have ended are swept by when they did.
CREATE INDEX mails_ended ON mails (ended_at) WHERE status <> 'waiting';
