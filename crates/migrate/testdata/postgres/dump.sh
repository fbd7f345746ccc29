#!/usr/bin/env bash
# Makes dumps of these tables by a PostgreSQL of its own: dump.sh TARGET-FOLDER.
# Takes initdb, postgres, psql and pg_dump from PATH, else the newest of /usr/lib/postgresql. PostgreSQL
# does not run as root: then it runs as `postgres`, or as `nobody`.
set -euo pipefail
target=$1
here=$(cd "$(dirname "$0")" && pwd)
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true)
PATH=${bin:+$bin:}$PATH
for tool in initdb postgres psql pg_dump; do
  command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 3; }
done
work=$(mktemp -d)
as=()
if [ "$(id -u)" = 0 ]; then
  user=postgres; id "$user" >/dev/null 2>&1 || user=nobody
  chown "$user" "$work"
  as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
fi
cd "$work"
export TZ=UTC PGTZ=UTC PGHOST=$work PGUSER=dunlin PGDATABASE=postgres
"${as[@]}" env HOME="$work" initdb -D "$work/data" -U dunlin -A trust --no-sync -E UTF8 --locale=C >/dev/null
"${as[@]}" env HOME="$work" postgres -D "$work/data" -c listen_addresses= -c fsync=off \
  -c unix_socket_directories="$work" -c logging_collector=off >"$work/log" 2>&1 &
server=$!
trap 'kill -INT $server 2>/dev/null; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 300); do psql -qc 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.1; done
psql -q -v ON_ERROR_STOP=1 -f "$here/schema.sql" -f "$here/rows.sql" >/dev/null
mkdir -p "$target/csv"
# So that points in time with a zone are told in another one.
export PGTZ=Asia/Kolkata
pg_dump --no-owner >"$target/copy.sql"
pg_dump --no-owner --inserts --rows-per-insert=3 >"$target/inserts.sql"
pg_dump --no-owner --column-inserts --data-only >"$target/column-inserts.sql"
pg_dump --no-owner -Fc >"$target/custom.dump"
for table in $(psql -Atc "SELECT tablename FROM pg_tables WHERE tablename LIKE 'LiteLLM%' ORDER BY 1"); do
  psql -q -c "\\copy \"$table\" TO '$target/csv/$table.csv' WITH (FORMAT csv, HEADER)" >/dev/null
done
psql -Atc "SELECT version(), (extract(epoch FROM now()) * 1000)::bigint" >"$target/made-by"
