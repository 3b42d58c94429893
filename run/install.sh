#!/bin/sh
# Installs the dependencies that deno.lock pins, with one line of progress. Does nothing if they are already installed.
# deno.json sets "nodeModulesDir": "manual", because `deno task` would otherwise install first and print a line per package.
set -eu
cd "$(dirname "$0")/.."
# Marks a finished installation, because an interrupted or failed one leaves a node_modules folder too.
done=node_modules/.chub-installed
# Deno's own mark, after a manual `deno install`.
deno_done=node_modules/.deno/.setup-cache.bin
if [ -d node_modules/.deno ]; then
  # A read-only folder, such as a release installed by root, is used as it is.
  if ! [ -w node_modules ] || { [ -e "$done" ] && ! [ deno.lock -nt "$done" ]; }; then exit 0; fi
fi
deno=$(sh run/deno_path.sh "$PPID")
log=$(mktemp) || { echo "The installation requires a folder for temporary files; set TMPDIR to one." >&2; exit 1; }
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM HUP
printf 'Installing dependencies into node_modules (once) ' >&2
# Deno prints a line per download and package; prints a dot for every ten.
{ NO_COLOR=1 "$deno" install --frozen 2>&1 && echo completed; } | {
  count=0 line=
  while IFS= read -r line; do
    printf '%s\n' "$line"
    count=$((count + 1))
    [ $((count % 10)) -ne 0 ] || printf . >&2
  done
} >"$log"
if [ "$(tail -n 1 "$log")" != completed ]; then
  printf ' failed:\n' >&2
  grep -v '^Download\|^Initialize' "$log" | tail -n 20 >&2
  [ -e "$done" ] || [ -e "$deno_done" ] || exit 1
  echo 'Continuing with the dependencies that are in node_modules.' >&2
  exit 0
fi
touch "$done"
sed -n 's/^Installed \([0-9]* packages in .*\)/ \1/p' "$log" >&2
grep -q '^Installed ' "$log" || echo ' done' >&2
