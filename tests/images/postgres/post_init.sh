#!/bin/bash
# Run once by Patroni on the first primary, after initdb; $1 is a connection string.
# The operator makes every user of a manifest with CREATE ROLE ... ADMIN "admin".
set -euo pipefail
"/usr/lib/postgresql/$(cat /etc/pg-major)/bin/psql" -X -v ON_ERROR_STOP=1 -v human="${HUMAN_ROLE:-zalandos}" -d "$1" <<'SQL'
SELECT format('CREATE ROLE %I NOLOGIN', name)
FROM unnest(ARRAY['admin', 'cron_admin', 'robot_zmon', :'human']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE admin CREATEDB CREATEROLE;
GRANT cron_admin TO admin;
GRANT pg_monitor TO robot_zmon;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
\c template1
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
SQL
