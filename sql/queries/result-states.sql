-- How far are these? $1 text[] ids; those of which nothing is known are left out.
SELECT state FROM {schema}.task_result WHERE id = ANY ($1::text[])
