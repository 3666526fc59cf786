-- Retries, workflows, limits, revokes, unique tasks, queue settings, progress and log lines of tasks.

-- Columns that few results have. A second statement in the same commit writes them (sql/queries/result-extra.sql), never the hot path.
ALTER TABLE task_result
  ADD COLUMN next_at    timestamptz,               -- RETRY: when it runs again
  ADD COLUMN expires_at timestamptz,               -- the task's own TTL; NULL = RESULT_TTL decides
  ADD COLUMN parent_id  text,                      -- the task that sent this one
  ADD COLUMN root_id    text,                      -- the first task of the workflow
  ADD COLUMN children   text,                      -- JSON array of the ids that this task sent, groups as {"group": id}
  ADD COLUMN progress   text;                      -- JSON {"n", "of", "note"}
CREATE INDEX task_result_expires_at ON task_result (expires_at) WHERE expires_at IS NOT NULL;

-- Lines that a task wrote with ctx.log. They are deleted with the result.
CREATE TABLE task_log (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id    text NOT NULL,
  retries    integer NOT NULL DEFAULT 0,           -- the attempt that wrote it
  level      smallint NOT NULL,                    -- pino's: 20 debug, 30 info, 40 warn, 50 error
  at         timestamptz NOT NULL,
  message    text NOT NULL,
  fields     text                                  -- JSON object
);
CREATE INDEX task_log_task_id ON task_log (task_id, id);
CREATE INDEX task_log_at ON task_log USING brin (at) WITH (pages_per_range = 16);

-- Saved groups, like Celery's table celery_tasksetmeta.
CREATE TABLE task_group (
  id         text PRIMARY KEY CONSTRAINT task_group_id_length CHECK (length(id) BETWEEN 1 AND 255),
  members    text[] NOT NULL,                      -- ids of tasks, in the order of the results
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX task_group_created_at ON task_group USING brin (created_at) WITH (pages_per_range = 16);

-- Chords whose header runs. The row is deleted when the body is sent or a member fails.
CREATE TABLE chord (
  id         text PRIMARY KEY CONSTRAINT chord_id_length CHECK (length(id) BETWEEN 1 AND 255), -- group id of the header
  members    text[] NOT NULL,                      -- ids in the order of the results
  remaining  integer NOT NULL,                     -- members that have no result yet
  body       text NOT NULL,                        -- the body's signature, JSON
  root_id    text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Members stay until their chord ends, so that clean-up keeps the results that the body will receive.
CREATE TABLE chord_member (
  task_id    text NOT NULL,
  chord_id   text NOT NULL,
  counted    boolean NOT NULL DEFAULT false,
  PRIMARY KEY (task_id, chord_id)
);
CREATE INDEX chord_member_chord_id ON chord_member (chord_id);

-- Revoked ids and task names. A worker reads them when it starts and is notified of new ones.
CREATE TABLE revoked (
  kind       text NOT NULL CONSTRAINT revoked_kind CHECK (kind IN ('id','task')),
  value      text NOT NULL CONSTRAINT revoked_value_length CHECK (length(value) BETWEEN 1 AND 255),
  revoked_at timestamptz NOT NULL DEFAULT clock_timestamp(), -- of a task: messages sent before this moment are not run
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (kind, value)
);
CREATE INDEX revoked_expires_at ON revoked (expires_at);

-- Keys of unique tasks. The holder of a key is queued or runs.
CREATE TABLE unique_task (
  key        text PRIMARY KEY CONSTRAINT unique_task_key_length CHECK (length(key) BETWEEN 1 AND 1000),
  task_id    text NOT NULL,
  sender     text,                                 -- id of the call that sends the message; NULL: it is unknown whether it was sent
  expires_at timestamptz NOT NULL
);
CREATE INDEX unique_task_task_id ON unique_task (task_id);
CREATE INDEX unique_task_expires_at ON unique_task (expires_at);

-- Queues that are paused or limited. A queue without a row is neither.
CREATE TABLE queue_setting (
  name        text PRIMARY KEY CONSTRAINT queue_setting_name_length CHECK (length(name) BETWEEN 1 AND 200),
  paused      boolean NOT NULL DEFAULT false,
  concurrency integer CONSTRAINT queue_setting_concurrency CHECK (concurrency > 0), -- over all workers; 1 keeps the order
  changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION queue_setting_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify(TG_TABLE_SCHEMA || '.queue_setting', ''); RETURN NULL; END $$;
CREATE TRIGGER queue_setting_notify AFTER INSERT OR UPDATE OR DELETE ON queue_setting FOR EACH STATEMENT EXECUTE FUNCTION queue_setting_notify();

-- Rate limits over all workers: the theoretical arrival time of the next task (GCRA).
CREATE TABLE rate_limit (
  key        text PRIMARY KEY,
  next_at    timestamptz NOT NULL
);

ALTER TABLE dead_letter ADD COLUMN priority smallint NOT NULL DEFAULT 0;
CREATE INDEX dead_letter_task_id ON dead_letter (task_id);
