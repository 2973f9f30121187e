-- Projects of a workspace and their policies (JSON). What stands here is declared
-- in the journal of the organization, row by row. archived_at is 0 while one may
-- start something in it.
CREATE TABLE projects (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  slug         TEXT   NOT NULL,
  id           TEXT   NOT NULL,
  name         TEXT   NOT NULL,
  policy       TEXT   NOT NULL,
  created_at   BIGINT NOT NULL,
  archived_at  BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace, slug)
);

-- What holds for all projects of a workspace. version counts the changes of any of
-- them, so that one number says whether what is remembered of them still holds.
CREATE TABLE project_rules (
  organization TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  version      BIGINT NOT NULL,
  strict       BIGINT NOT NULL,
  PRIMARY KEY (organization, workspace)
);

-- How many GPUs (× 10^6) wait for the start that a hold was made for.
ALTER TABLE holds ADD COLUMN gpus BIGINT NOT NULL DEFAULT 0;
