-- For brokers that do not give the reason of a redelivery: RabbitMQ sets its flag after a death, a lost connection and a requeue.
-- Only messages that were redelivered or requeued have a row. The row is deleted with their outcome.
CREATE TABLE redelivery (
  task_id    text PRIMARY KEY,
  deaths     smallint NOT NULL DEFAULT 0,          -- workers that died with it: the first death always counts, later ones only if it had started
  returns    smallint NOT NULL DEFAULT 0,          -- requeues on purpose: as many redeliveries do not count as deaths
  worker     integer,                              -- the worker that started it after a counted death
  touched_at timestamptz NOT NULL DEFAULT now()
);
