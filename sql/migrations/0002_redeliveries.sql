-- For brokers that cannot say why a message comes again: RabbitMQ's flag is set after a death, a lost connection and a hand-back alike.
-- Only messages that were delivered more than once, or handed back, have a row; it goes with their outcome.
CREATE TABLE redelivery (
  task_id    text PRIMARY KEY,
  deaths     smallint NOT NULL DEFAULT 0,          -- workers that died with it: the first time whatever it did, later only while it ran
  returns    smallint NOT NULL DEFAULT 0,          -- times it was handed back on purpose: so many redeliveries count for nothing
  worker     integer,                              -- the worker that began it with deaths on its record
  touched_at timestamptz NOT NULL DEFAULT now()
);
