#!/bin/sh
# usage: end_with_npx.sh TASK HUB
# npx runs Deno by a shell that ends without passing a signal on, so `deno task` (process TASK) would stay. If npx is where TASK
# comes from, waits until that shell has ended, then asks the process HUB to stop. Requires /proc; does nothing without it.
parent_of() { sed -n 's/^[0-9]* (.*) [A-Z] \([0-9]*\) .*/\1/p' "/proc/$1/stat"; }
command_of() { tr '\0' ' ' <"/proc/$1/cmdline"; }
shell=$(parent_of "$1")
case "$(command_of "$shell") $(command_of "$(parent_of "$shell")")" in
  *"npm exec"* | *npx*) ;;
  *) exit ;;
esac
# What a terminal sends reaches the hub by itself.
trap '' INT HUP
while kill -0 "$shell" && kill -0 "$2"; do sleep 0.5; done
kill "$2"
