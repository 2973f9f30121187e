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
