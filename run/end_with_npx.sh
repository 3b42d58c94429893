#!/bin/sh
# usage: end_with_npx.sh TASK HUB
# npx runs Deno through a shell that ends without forwarding signals, so `deno task` (process TASK) would survive it. If npx
# started TASK, waits until that shell has ended, then sends SIGTERM to the process HUB. Does nothing without /proc.
parent_of() { sed -n 's/^[0-9]* (.*) [A-Z] \([0-9]*\) .*/\1/p' "/proc/$1/stat"; }
command_of() { tr '\0' ' ' <"/proc/$1/cmdline"; }
shell=$(parent_of "$1")
case "$(command_of "$shell") $(command_of "$(parent_of "$shell")")" in
  *"npm exec"* | *npx*) ;;
  *) exit ;;
esac
# Signals from the terminal reach the hub directly.
trap '' INT HUP
while kill -0 "$shell" && kill -0 "$2"; do sleep 0.5; done
kill "$2"
