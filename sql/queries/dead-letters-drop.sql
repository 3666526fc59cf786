-- Deletes dead letters. $1 bigint[] ids of rows; NULL: every row
WITH gone AS (DELETE FROM {schema}.dead_letter WHERE $1::bigint[] IS NULL OR id = ANY ($1::bigint[]) RETURNING 1)
SELECT count(*)::int AS dropped FROM gone
