#!/bin/sh
# usage: port_owner.sh PORT
# Prints the process that listens on a TCP port of this machine, as `process 123 (nginx: master process)`, from /proc. Prints
# nothing if there is none or the system has no /proc.
port=$(printf '%04X' "$1")
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ local _ state _ _ _ user _ inode _; do
  case $local-$state in *:"$port-0A") echo "$inode $user" ;; esac
done | while read -r inode user; do
  # ls prints each folder's name before the links in it.
  pid=$(ls -l /proc/[0-9]*/fd 2>/dev/null |
    sed -n "/^\/proc\//h; /socket:\[$inode\]/{ x; s/^\/proc\/\([0-9]*\)\/fd:.*/\1/p; q; }")
  if [ -n "$pid" ]; then
    echo "process $pid ($(tr '\0' ' ' </proc/"$pid"/cmdline | cut -c1-200 | sed 's/ *$//'))"
  else
    echo "a process of the user $(id -nu "$user" 2>/dev/null || echo "$user")"
  fi
  break
done
