-- Lets a release run on a schema that a later release has migrated (docs/adr/0009-migrations.md).

-- The releases up to 0003_tasks refuse a schema if the table migration has a name that they lack. From here on the migration library
-- records every name in applied_migration, and migration has only the names that those releases must refuse.
CREATE TABLE IF NOT EXISTS migration (
  id         serial PRIMARY KEY,
  name       varchar(255) NOT NULL,
  run_on     timestamp NOT NULL
);
INSERT INTO migration (name, run_on)
  SELECT name, now() FROM (VALUES ('0001_first-tables'), ('0002_redeliveries'), ('0003_tasks')) AS first_release (name)
  WHERE NOT EXISTS (SELECT FROM migration WHERE migration.name = first_release.name);

-- Migrations that earlier releases can live with: every release that has the migration `since`.
CREATE TABLE compatible_migration (
  name       text PRIMARY KEY,
  since      text NOT NULL
);
INSERT INTO compatible_migration (name, since) VALUES ('0004_compatible-since', '0003_tasks');
