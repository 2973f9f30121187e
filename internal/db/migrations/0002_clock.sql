-- The instant of the test clock: one row, and none where time is real.
CREATE TABLE clock (
  id  BIGINT NOT NULL PRIMARY KEY,
  now BIGINT NOT NULL
);
