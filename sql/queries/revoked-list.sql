-- Returns revokes, newest first. $1 int maximum number of revokes
SELECT kind, value, (extract(epoch FROM revoked_at) * 1000)::float8 AS revoked_ms, (extract(epoch FROM expires_at) * 1000)::float8 AS expires_ms
FROM {schema}.revoked WHERE expires_at > now() ORDER BY revoked_at DESC LIMIT $1
