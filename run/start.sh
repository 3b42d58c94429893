#!/bin/sh
# Starts the hub. run/start.ts prepares what no setting names (embedded Postgres, embedded lab, tokens) and starts the hub
# under the exact flags of run/permissions.ts. With DATABASE_URL and VRL_URL set, nothing is prepared and the hub is exec'd.
# The preparing program reads and writes without scope, since Deno.symlink wants that; the hub never does.
set -eu
cd "$(dirname "$0")/.."
deno=${CHUB_DENO:-deno}
prepare="$deno run --quiet --no-prompt --allow-read --allow-write --allow-env --allow-run --allow-sys=uid --allow-net=127.0.0.1"
case "${1:-}" in
  --permissions) exec $prepare run/start.ts --permissions ;;
  --migrate | --demo | --watch | "") ;;
  *) echo "usage: run/start.sh [--demo | --watch | --migrate | --permissions]" >&2; exit 2 ;;
esac
if [ -n "${DATABASE_URL:-}" ] && [ -n "${VRL_URL:-}" ] && [ "${1:-}" != --demo ] && [ "${1:-}" != --watch ]; then
  $prepare run/start.ts --tokens
  set -- "${1:-}"
  flags=$($prepare run/start.ts --flags)
  set -f
  IFS='
'
  [ "$1" = --migrate ] && exec "$deno" run $flags main.ts --migrate
  # See allocatorEnv in run/permissions.ts.
  exec env MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}" MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-65536}" \
    MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-131072}" "$deno" run $flags main.ts
fi
exec $prepare run/start.ts "$@"
