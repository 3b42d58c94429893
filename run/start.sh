#!/bin/sh
# Starts the hub. run/start.ts prepares what is not configured (embedded Postgres, embedded lab, tokens) and starts the hub
# with the exact permission flags of run/permissions.ts. With DATABASE_URL and VRL_URL set, only tokens are prepared and the
# hub is exec'd. run/start.ts itself is not confined to folders and hosts, because it copies binaries, starts servers and
# checks their sockets. The hub is confined.
set -eu
cd "$(dirname "$0")/.."
case "$#:${1:-}" in
  0: | 1:--permissions | 1:--migrate | 1:--demo | 1:--watch | 1:--help) ;;
  *) echo "usage: run/start.sh [--demo | --watch | --migrate | --permissions | --help]" >&2; exit 2 ;;
esac
mode=${1:-}
CHUB_DENO=$(sh run/deno_path.sh "$PPID")
export CHUB_DENO
# Under nohup a closed terminal must not end the hub, but Deno stops ignoring SIGHUP once a signal has a listener.
case $(sed -n 's/^SigIgn:.*\(.\)$/\1/p' /proc/self/status 2>/dev/null) in
  [13579bdf]) export CHUB_IGNORE_HUP=1 ;;
esac
sh run/install.sh
sh run/end_with_npx.sh "$PPID" $$ >/dev/null 2>&1 &
flags="--quiet --no-prompt --allow-read --allow-write --allow-env --allow-run --allow-sys=uid --allow-net"
case $mode in --permissions | --help) exec "$CHUB_DENO" run $flags run/start.ts "$mode" ;; esac
if [ -n "${DATABASE_URL:-}" ] && [ -n "${VRL_URL:-}" ] && [ "$mode" != --demo ] && [ "$mode" != --watch ]; then
  "$CHUB_DENO" run $flags run/start.ts --tokens
  hub=$("$CHUB_DENO" run $flags run/start.ts --flags)
  set -f
  IFS='
'
  [ "$mode" != --migrate ] || exec "$CHUB_DENO" run $hub main.ts --migrate
  # See allocatorEnv in run/permissions.ts.
  exec env MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}" MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-65536}" \
    MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-131072}" "$CHUB_DENO" run $hub main.ts
fi
exec "$CHUB_DENO" run $flags run/start.ts $mode
