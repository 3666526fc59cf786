-- The tables of tasks, messages and schedules. All are in one schema (DATABASE_SCHEMA), so that an application can share the database.
-- The design of message, worker and outbox: docs/internals/queue-design.md; of schedule: docs/adr/0006-schedules.md.

-- One row per task that was sent from the console, has started or has ended. No row means PENDING, as in Celery.
CREATE TABLE task_result (
  id          text PRIMARY KEY CONSTRAINT task_result_id_length CHECK (length(id) BETWEEN 1 AND 255),
  task        text NOT NULL,
  state       text NOT NULL CONSTRAINT task_result_state CHECK (state IN ('PENDING','RECEIVED','STARTED','SUCCESS','FAILURE','RETRY','REVOKED')),
  result      text,                                  -- JSON; for FAILURE, RETRY and REVOKED an object {exc_type, exc_message, exc_module}
  traceback   text,
  queue       text,
  worker      text,
  retries     integer NOT NULL DEFAULT 0,
  args        text,                                  -- JSON [args, kwargs], kept for tasks sent from the console
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at  timestamptz,
  done_at     timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.05);
-- Clean-up reads rows in the order of their age. The table grows in that order, so a block range index suffices and costs almost nothing per task.
CREATE INDEX task_result_done_at ON task_result USING brin (done_at) WITH (pages_per_range = 16);
CREATE INDEX task_result_open ON task_result (created_at) WHERE done_at IS NULL;

-- Workers that can hold messages. A worker is alive while the session advisory lock (key, id) is held; it writes nothing to stay alive.
CREATE TABLE worker (
  id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name        text NOT NULL,
  queues      text[] NOT NULL,
  concurrency integer NOT NULL,
  started_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The PostgreSQL broker: only ready and running messages. Narrow on purpose: a claim and an acknowledgement copy the row.
-- headers and properties are those of Celery's protocol 2 without default values; NULL if all values are defaults.
CREATE TABLE message (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue       text NOT NULL,
  priority    smallint NOT NULL DEFAULT 0,
  deaths      smallint NOT NULL DEFAULT 0,           -- workers that died with it: the first death always counts, later ones only if it had started
  started     boolean NOT NULL DEFAULT false,        -- written only for messages with deaths, just before they start
  worker      integer,                               -- NULL = ready
  task_id     text NOT NULL,
  task        text NOT NULL,
  headers     text,
  properties  text,
  body        text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX message_ready ON message (queue, priority DESC, id) WHERE worker IS NULL;

-- Messages that no worker can run, kept for a person to read and requeue.
CREATE TABLE dead_letter (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue       text NOT NULL,
  reason      text NOT NULL,
  task_id     text,
  task        text,
  headers     text,
  properties  text,
  body        text,
  died_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The only place of messages that are not published yet: countdown, eta, retries, ticks, and messages sent in a transaction of the caller.
CREATE TABLE outbox (
  task_id     text PRIMARY KEY,
  queue       text NOT NULL,
  priority    smallint NOT NULL DEFAULT 0,
  task        text NOT NULL,
  headers     text,
  properties  text,
  body        text NOT NULL,
  due_at      timestamptz NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_due ON outbox (due_at);

-- Periodic tasks. Any client may change the definition at any time, also psql; only beat writes the state.
CREATE TABLE schedule (
  id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name            text NOT NULL CONSTRAINT schedule_name UNIQUE CONSTRAINT schedule_name_length CHECK (length(name) BETWEEN 1 AND 200),
  description     text NOT NULL DEFAULT '',
  task            text NOT NULL CONSTRAINT schedule_task_length CHECK (length(task) BETWEEN 1 AND 200),
  args            jsonb NOT NULL DEFAULT '[]' CONSTRAINT schedule_args CHECK (jsonb_typeof(args) = 'array'),
  kwargs          jsonb NOT NULL DEFAULT '{}' CONSTRAINT schedule_kwargs CHECK (jsonb_typeof(kwargs) = 'object'),
  queue           text,
  priority        smallint CONSTRAINT schedule_priority CHECK (priority BETWEEN 0 AND 255),
  headers         jsonb NOT NULL DEFAULT '{}' CONSTRAINT schedule_headers CHECK (jsonb_typeof(headers) = 'object'),
  kind            text NOT NULL CONSTRAINT schedule_kind CHECK (kind IN ('crontab','interval','clocked')),
  minute text, hour text, day_of_week text, day_of_month text, month_of_year text,
  day_rule        text CONSTRAINT schedule_day_rule CHECK (day_rule IN ('and','or')),
  timezone        text,
  every           integer CONSTRAINT schedule_every CHECK (every > 0),
  period          text CONSTRAINT schedule_period CHECK (period IN ('days','hours','minutes','seconds','microseconds')),
  anchor          timestamptz,
  clocked_time    timestamptz,
  CONSTRAINT schedule_crontab  CHECK (kind <> 'crontab'  OR num_nulls(minute,hour,day_of_week,day_of_month,month_of_year,day_rule,timezone) = 0),
  CONSTRAINT schedule_interval CHECK (kind <> 'interval' OR num_nulls(every,period,anchor) = 0),
  CONSTRAINT schedule_clocked  CHECK (kind <> 'clocked'  OR (clocked_time IS NOT NULL AND one_off)),
  enabled         boolean NOT NULL DEFAULT true,
  one_off         boolean NOT NULL DEFAULT false,
  start_time      timestamptz,
  expires         timestamptz,                       -- end of the schedule, exclusive
  expire_seconds  integer CONSTRAINT schedule_expire_seconds CHECK (expire_seconds > 0),  -- of each message, counted from its tick
  catchup         text NOT NULL DEFAULT 'one'   CONSTRAINT schedule_catchup CHECK (catchup IN ('skip','one','all')),
  catchup_limit   integer NOT NULL DEFAULT 100  CONSTRAINT schedule_catchup_limit CHECK (catchup_limit BETWEEN 1 AND 10000),
  misfire_grace_seconds integer CONSTRAINT schedule_misfire_grace CHECK (misfire_grace_seconds > 0),  -- NULL = no limit
  origin          text NOT NULL DEFAULT 'db'    CONSTRAINT schedule_origin CHECK (origin IN ('db','code')),
  next_run_at     timestamptz,                       -- nominal tick; NULL = to be planned, or finished
  finished        boolean NOT NULL DEFAULT false,
  last_run_at     timestamptz,                       -- nominal tick of the last run
  last_task_id    text,
  total_run_count bigint NOT NULL DEFAULT 0,
  tzdata          text,                              -- process.versions.tz that computed next_run_at
  last_error      text,
  version         bigint NOT NULL DEFAULT 1,
  date_changed    timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX schedule_due  ON schedule (next_run_at) WHERE enabled AND next_run_at IS NOT NULL;
CREATE INDEX schedule_plan ON schedule (id) WHERE enabled AND next_run_at IS NULL AND NOT finished;

-- After any change of a definition, beat plans it anew, and every beat is notified. Beat's own writes change other columns and fire nothing.
CREATE FUNCTION schedule_touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1; NEW.date_changed := now();
  NEW.next_run_at := NULL; NEW.finished := false; NEW.last_error := NULL;
  RETURN NEW;
END $$;
CREATE TRIGGER schedule_touch BEFORE UPDATE OF kind,minute,hour,day_of_week,day_of_month,month_of_year,day_rule,timezone,
  every,period,anchor,clocked_time,enabled,one_off,start_time,expires
  ON schedule FOR EACH ROW
  WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION schedule_touch();
CREATE FUNCTION schedule_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify(TG_TABLE_SCHEMA || '.schedule', ''); RETURN NULL; END $$;
CREATE TRIGGER schedule_notify_set AFTER INSERT OR DELETE ON schedule FOR EACH STATEMENT EXECUTE FUNCTION schedule_notify();
CREATE TRIGGER schedule_notify_changed AFTER UPDATE OF kind,minute,hour,day_of_week,day_of_month,month_of_year,day_rule,timezone,
  every,period,anchor,clocked_time,enabled,one_off,start_time,expires
  ON schedule FOR EACH STATEMENT EXECUTE FUNCTION schedule_notify();

-- The run history of schedules: one row per tick, also for skipped ticks, with the reason. No foreign key: the history outlives the schedule.
CREATE TABLE schedule_run (
  schedule_id   uuid NOT NULL,
  tick          timestamptz NOT NULL,
  reason        text NOT NULL CONSTRAINT schedule_run_reason CHECK (reason IN ('tick','catchup','manual')),
  task_id       text CONSTRAINT schedule_run_task_id UNIQUE,           -- NULL if skipped
  outcome       text NOT NULL CONSTRAINT schedule_run_outcome CHECK (outcome IN ('queued','skipped_misfire','skipped_catchup')),
  missed        integer NOT NULL DEFAULT 0,                            -- earlier ticks that this run replaces
  schedule_name text NOT NULL,
  task          text NOT NULL,
  decided_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  host          text NOT NULL,
  PRIMARY KEY (schedule_id, tick, reason)
);
CREATE UNIQUE INDEX schedule_run_once ON schedule_run (schedule_id, tick) WHERE reason <> 'manual';
CREATE INDEX schedule_run_decided_at ON schedule_run USING brin (decided_at) WITH (pages_per_range = 16);
