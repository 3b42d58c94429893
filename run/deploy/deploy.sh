#!/bin/sh
# Installs a version of C Hub beside the others, brings the schema up to date, switches to it, and goes back where it does not
# get ready. Going back is refused where a migration of the new version no longer works with the old code: then the new one
# must be fixed and deployed.
#
# usage: run/deploy/deploy.sh <folder of the new version>
#   CHUB_PREFIX    where versions lie (/opt/chub): versions/<name>, and current, a link to one
#   CHUB_ENV       file of settings (/etc/chub/env); the user need not be able to read it
#   CHUB_USER      who the hub runs as; the schema is brought up to date as that user (chub)
#   CHUB_HOSTS     names that people reach the hub by; where the settings have no ALLOWED_HOSTS they are added ($(hostname -f))
#   CHUB_DATA      DATA_DIR where the settings name none, as in run/deploy/chub.service (/var/lib/chub); made where it is missing
#   CHUB_CACHE     DENO_DIR likewise (/var/cache/chub)
#   CHUB_RESTART   command that restarts the hub (systemctl restart chub)
#   CHUB_READY     URL that answers once it is ready (http://127.0.0.1:8000/api/health/ready)
#   CHUB_WAIT      seconds to wait for that (60)
#   CHUB_KEEP      versions kept besides the present one (3)
#
# The shell and systemd's EnvironmentFile read the settings by different rules, so only what means the same to both is taken:
# empty lines, lines that begin with #, and NAME=value, the value bare where it is of letters, digits and _ . / : @ % + , = -
# alone, else in single quotes (no quote and no backslash in it), or in double ones (no " \ $ or ` in it).
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
[ -r "$settings" ] || fail "there are no settings in $settings (CHUB_ENV)"
case $settings in /*) ;; *) settings=$PWD/$settings ;; esac
source=$(cd "$1" && pwd)

# The first line of the settings that the shell and systemd do not read alike. Values may be secret: none is shown.
fault=$(awk '
  function refuse(why) { print "line " NR " " why; exit }
  /\r/ { refuse("has a carriage return: write the file with line feeds alone") }
  /^[ \t]*#/ { if (/\\$/) refuse("is a comment that ends with a backslash, which systemd joins with the next line"); next }
  /^[ \t]*$/ { next }
  /^[ \t]*export[ \t]/ { refuse("begins with export, which systemd does not know: write NAME=value") }
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

# The number of a version's code, and the oldest code that its migrations still work with.
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
# Runs a command as the user, with the settings, which need not be readable for the user.
with_settings() { (
  export DATA_DIR="$data" DENO_DIR="$cache" DENO_NO_UPDATE_CHECK=1
  set -a && . "$settings" && set +a && as_user "$1"
); }
named() { sh -c 'unset "$2" && . "$1" >/dev/null && eval "printf %s \"\${$2:-}\""' sh "$settings" "$1"; }
# What systemd makes for the service before it starts, by StateDirectory and CacheDirectory.
make_folder() {
  [ -d "$1" ] || { mkdir -p "$1" && chmod 0700 "$1" && { [ "$(id -u)" != 0 ] || chown "$user:$(id -gn "$user")" "$1"; }; }
}
as_user() { if [ "$(id -u)" = 0 ] && [ "$user" != root ]; then su -s /bin/sh "$user" -c "$1"; else sh -c "$1"; fi; }

id -u "$user" >/dev/null 2>&1 ||
  fail "there is no user $user (CHUB_USER): useradd --system --home-dir $data --shell /usr/sbin/nologin $user; nothing was changed"
own=$(named DATA_DIR) && data=${own:-$data}
own=$(named DENO_DIR) && cache=${own:-$cache}
make_folder "$data" && make_folder "$cache" || fail "$data and $cache cannot be made; nothing was changed"
with_settings "deno --version >/dev/null" || fail "$user cannot run deno: put it into /usr/local/bin; nothing was changed"

mkdir -p "$prefix/versions"
chmod a+rx "$prefix" "$prefix/versions"
second=$(date -u +%Y%m%dT%H%M%SZ)
name=$second again=1
# Two in one second; names sort as they came.
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
    # A file may end without a line end.
    [ -z "$(tail -c 1 "$settings")" ] || echo >>"$settings"
    echo "ALLOWED_HOSTS=\"$hosts\"" >>"$settings" && say "the hub answers to $hosts (ALLOWED_HOSTS in $settings)"
    ;;
  esac
fi

say "bringing the schema up to date"
with_settings "cd '$new' && exec sh run/start.sh --migrate" ||
  fail "the schema could not be brought up to date; ${old:-nothing} still runs, and $new is left to look at"

say "switching from ${old:-nothing} to $new"
switch "$new"
if $restart && is_ready; then
  say "$new is ready"
  # Older versions beyond those kept, never the one that ran until now.
  for each in $(ls -d "$prefix"/versions/*Z* | sort -r | tail -n +$((keep + 2))); do
    [ "$each" = "$old" ] || [ "$each" = "$new" ] || { rm -rf "$each" && say "removed $each"; }
  done
  exit 0
fi

[ -n "$old" ] || fail "$new does not get ready within $wait s, and there is no version to go back to"
if [ "$(code_of "$old")" -lt "$(oldest_of "$new")" ]; then
  fail "$new does not get ready within $wait s; going back is refused: its migrations need code $(oldest_of "$new"), and $old is code $(code_of "$old")"
fi
say "$new does not get ready within $wait s; going back to $old"
switch "$old"
$restart && is_ready || fail "$old does not get ready either; see the log of the service"
fail "$old runs again; $new is left to look at"
