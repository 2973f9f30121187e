-- A role in a project is one in the project of a workspace: project and workspace are ''
-- for all of the organization. What was given by the name of a project alone stays in
-- force where there is such a project, or else in the default workspace.
CREATE TABLE memberships_of_workspaces (
  organization TEXT   NOT NULL,
  user_id      TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  project      TEXT   NOT NULL,
  role         TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (organization, user_id, workspace, project)
);
INSERT INTO memberships_of_workspaces (organization, user_id, workspace, project, role, created_at)
  SELECT organization, user_id, '', '', role, created_at FROM memberships WHERE project = '';
INSERT INTO memberships_of_workspaces (organization, user_id, workspace, project, role, created_at)
  SELECT m.organization, m.user_id, p.workspace, m.project, m.role, m.created_at FROM memberships m
    JOIN projects p ON p.organization = m.organization AND p.slug = m.project;
INSERT INTO memberships_of_workspaces (organization, user_id, workspace, project, role, created_at)
  SELECT m.organization, m.user_id, w.id, m.project, m.role, m.created_at FROM memberships m
    JOIN organizations o ON o.id = m.organization
    JOIN workspaces w ON w.organization = m.organization AND w.slug = o.slug
    WHERE m.project <> '' AND NOT EXISTS (SELECT 1 FROM projects p WHERE p.organization = m.organization AND p.slug = m.project);
DROP TABLE memberships;
ALTER TABLE memberships_of_workspaces RENAME TO memberships;
CREATE INDEX memberships_user ON memberships (user_id);

-- So are invitations to a project, and tokens for one: those that named no workspace are
-- for the default one.
ALTER TABLE invitations ADD COLUMN workspace TEXT NOT NULL DEFAULT '';
UPDATE invitations SET workspace = COALESCE((SELECT w.id FROM workspaces w JOIN organizations o ON o.id = w.organization
    WHERE w.organization = invitations.organization AND w.slug = o.slug), '') WHERE project <> '';
UPDATE tokens SET workspace = COALESCE((SELECT w.id FROM workspaces w JOIN organizations o ON o.id = w.organization
    WHERE w.organization = tokens.organization AND w.slug = o.slug), '') WHERE project <> '' AND workspace = '';

-- What the sweeps look for.
CREATE INDEX users_unverified ON users (created_at) WHERE verified_at = 0;
CREATE INDEX invitations_due ON invitations (expires_at);
CREATE INDEX token_hashes_due ON token_hashes (expires_at) WHERE expires_at > 0;
CREATE INDEX tokens_revoked ON tokens (revoked_at, id) WHERE revoked_at > 0;
CREATE INDEX tokens_expired ON tokens (expires_at, id) WHERE expires_at > 0;
