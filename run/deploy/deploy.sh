#!/bin/sh
# Installs a version of C Hub next to the others, migrates the schema, switches to the version, and goes back if it does not
# become ready. Going back is refused if a migration of the new version no longer works with the old code; then fix the new
# version and deploy it.
#
# usage: run/deploy/deploy.sh <folder of the new version>
# Environment variables, with defaults in parentheses:
#   CHUB_PREFIX    folder of versions/<name>, and of current, a link to one of them (/opt/chub)
#   CHUB_ENV       settings file (/etc/chub/env); the user need not be able to read it
#   CHUB_USER      user that the hub runs as; the schema is migrated as that user too (chub)
#   CHUB_HOSTS     host names of the hub, added to the settings as ALLOWED_HOSTS if that is missing ($(hostname -f))
#   CHUB_DATA      DATA_DIR if not in the settings, as in run/deploy/chub.service (/var/lib/chub); created if missing
#   CHUB_CACHE     DENO_DIR likewise (/var/cache/chub)
#   CHUB_RESTART   command that restarts the hub (systemctl restart chub)
#   CHUB_READY     URL that returns a 2xx once the hub is ready (http://127.0.0.1:8000/api/health/ready)
#   CHUB_WAIT      seconds to wait until the hub is ready (60)
#   CHUB_KEEP      number of versions kept besides the present one (3)
#
# The shell and systemd's EnvironmentFile parse the settings differently, so only lines that mean the same to both are accepted:
# empty lines, lines that begin with #, and NAME=value. The value is bare if it consists of letters, digits and
# _ . / : @ % + , = - only, else in single quotes (without quotes or backslashes) or in double quotes (without " \ $ or `).
set -eu
prefix=${CHUB_PREFIX:-/opt/chub}
settings=${CHUB_ENV:-/etc/chub/env}
user=${CHUB_USER:-chub}
data=${CHUB_DATA:-/var/lib/chub}
cache=${CHUB_CACHE:-/var/cache/chub}
restart=${CHUB_RESTART:-systemctl restart chub}
ready=${CHUB_READY:-http://127.0.0.1:8000/api/health/ready}
wait=${CHUB_WAIT:-60}
keep=${CHUB_KEEP:-3}

say() { echo "deploy: $*"; }
fail() { echo "deploy: $*" >&2; exit 1; }
[ $# -eq 1 ] && [ -f "$1/main.ts" ] || fail "usage: run/deploy/deploy.sh <folder of the new version>"
for program in curl deno "${restart%% *}"; do
  command -v "$program" >/dev/null || fail "$program is missing; nothing was changed"
done
[ -r "$settings" ] || fail "the settings file $settings (CHUB_ENV) does not exist or is not readable"
case $settings in /*) ;; *) settings=$PWD/$settings ;; esac
source=$(cd "$1" && pwd)

# Finds the first line that the shell and systemd parse differently. Values may be secret, so none is printed.
fault=$(awk '
  function refuse(why) { print "line " NR " " why; exit }
  /\r/ { refuse("has a carriage return: use line feeds only") }
  /^[ \t]*#/ { if (/\\$/) refuse("is a comment that ends with a backslash, which systemd joins with the next line"); next }
  /^[ \t]*$/ { next }
  /^[ \t]*export[ \t]/ { refuse("begins with export, which systemd does not support: write NAME=value") }
  !/^[A-Za-z_][A-Za-z0-9_]*=/ { refuse("is not NAME=value, without spaces before the name and around the =") }
  {
    value = $0
    sub(/^[^=]*=/, "", value)
    if (value ~ /^[A-Za-z0-9_.\/:@%+,=-]*$/) next
    if (value ~ /^\047[^\047\\]*\047$/ || value ~ /^"[^"\\$`]*"$/) next
    name = $0
    sub(/=.*/, "", name)
    refuse("(" name ") has a value that the shell and systemd read differently: put it in single quotes, without a quote or a backslash in it")
  }' "$settings") || fail "$settings cannot be read by awk"
[ -z "$fault" ] || fail "$settings: $fault; nothing was changed"

# The code number of a version, and the oldest code number that its migrations work with.
# Versions before 0.1.0 have the file in db/.
code_of() { cat "$1/db/core/migrate.ts" "$1/db/migrate.ts" 2>/dev/null | sed -n 's/^export const CODE = \([0-9]*\);.*/\1/p'; }
oldest_of() { sed -n 's/^-- oldest code: \([0-9]*\)$/\1/p' "$1"/db/migrations/*.sql | sort -n | tail -n 1; }
is_ready() {
  n=0
  while [ "$n" -lt "$wait" ]; do
    curl -fsS -m 5 -o /dev/null "$ready" 2>/dev/null && return 0
    n=$((n + 1)) && sleep 1
  done
  return 1
}
switch() { ln -sfn "$1" "$prefix/current.new" && mv -T "$prefix/current.new" "$prefix/current"; }
# Runs a command as the user with the settings, which the user need not be able to read.
with_settings() { (
  export DATA_DIR="$data" DENO_DIR="$cache" DENO_NO_UPDATE_CHECK=1
  set -a && . "$settings" && set +a && as_user "$1"
); }
named() { sh -c 'unset "$2" && . "$1" >/dev/null && eval "printf %s \"\${$2:-}\""' sh "$settings" "$1"; }
# Creates a folder as systemd does for StateDirectory and CacheDirectory.
make_folder() {
  [ -d "$1" ] || { mkdir -p "$1" && chmod 0700 "$1" && { [ "$(id -u)" != 0 ] || chown "$user:$(id -gn "$user")" "$1"; }; }
}
as_user() { if [ "$(id -u)" = 0 ] && [ "$user" != root ]; then su -s /bin/sh "$user" -c "$1"; else sh -c "$1"; fi; }

id -u "$user" >/dev/null 2>&1 ||
  fail "there is no user $user (CHUB_USER); create it with: useradd --system --home-dir $data --shell /usr/sbin/nologin $user; nothing was changed"
own=$(named DATA_DIR) && data=${own:-$data}
own=$(named DENO_DIR) && cache=${own:-$cache}
make_folder "$data" && make_folder "$cache" || fail "$data and $cache cannot be created; nothing was changed"
with_settings "deno --version >/dev/null" || fail "$user cannot run deno: install it in /usr/local/bin; nothing was changed"

mkdir -p "$prefix/versions"
chmod a+rx "$prefix" "$prefix/versions"
second=$(date -u +%Y%m%dT%H%M%SZ)
name=$second again=1
# Distinguishes deployments in the same second; names sort in order of time.
while [ -e "$prefix/versions/$name" ]; do again=$((again + 1)) name=$second.$again; done
new=$prefix/versions/$name
old=$(readlink "$prefix/current" || true)

say "installing $source as $new"
cp -R "$source" "$new.part"
rm -rf "$new.part/.git" "$new.part/data" "$new.part/node_modules"
(cd "$new.part" && deno install --frozen --quiet)
mv "$new.part" "$new"
chmod -R a+rX "$new"

if ! grep -q '^ALLOWED_HOSTS=' "$settings"; then
  hosts=${CHUB_HOSTS:-$(hostname -f 2>/dev/null || true)}
  case "$hosts" in
  *[!A-Za-z0-9.\ _-]*) fail "CHUB_HOSTS must be host names separated by spaces, without ports: $hosts" ;;
  ?*)
    # The file's last line may lack a line end.
    [ -z "$(tail -c 1 "$settings")" ] || echo >>"$settings"
    echo "ALLOWED_HOSTS=\"$hosts\"" >>"$settings" && say "the hub accepts the host names $hosts (ALLOWED_HOSTS in $settings)"
    ;;
  esac
fi

say "migrating the schema"
with_settings "cd '$new' && exec sh run/start.sh --migrate" ||
  fail "the schema could not be migrated; ${old:-nothing} still runs, and $new is kept for inspection"

say "switching from ${old:-nothing} to $new"
switch "$new"
if $restart && is_ready; then
  say "$new is ready"
  # Removes older versions beyond those to keep, but never the previously running one.
  for each in $(ls -d "$prefix"/versions/*Z* | sort -r | tail -n +$((keep + 2))); do
    [ "$each" = "$old" ] || [ "$each" = "$new" ] || { rm -rf "$each" && say "removed $each"; }
  done
  exit 0
fi

[ -n "$old" ] || fail "$new is not ready after $wait s, and there is no version to go back to"
if [ "$(code_of "$old")" -lt "$(oldest_of "$new")" ]; then
  fail "$new is not ready after $wait s; going back is refused: its migrations require code $(oldest_of "$new"), and $old is code $(code_of "$old")"
fi
say "$new is not ready after $wait s; going back to $old"
switch "$old"
$restart && is_ready || fail "$old is not ready either; see the service's log"
fail "$old runs again; $new is kept for inspection"
