#!/bin/sh
# usage: deno_path.sh PARENT
# Prints the path of Deno: $CHUB_DENO, else `deno` on PATH, else the program of the process PARENT, in case `deno task` was
# started by its path. For a launcher on PATH, such as npx's, prints the program that it launches.
found=${CHUB_DENO:-deno}
if ! command -v "$found" >/dev/null; then
  case $(readlink "/proc/$1/exe" 2>/dev/null) in
    */deno) found=$(readlink "/proc/$1/exe") ;;
    *) echo "Deno ($found) is not on PATH: install it (https://deno.com), or set CHUB_DENO to its path." >&2; exit 1 ;;
  esac
fi
exec "$found" eval --quiet --no-config 'console.log(Deno.execPath())'
