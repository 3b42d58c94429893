import { processId } from "./kill.ts";

/**
 * C library functions that replace Deno's: `Deno.kill` requires permission to run every program, and Deno waits only for
 * processes that it started itself. Requires --allow-ffi.
 */
const LIBRARY: Partial<Record<typeof Deno.build.os, string>> = {
  linux: "libc.so.6",
  darwin: "libSystem.B.dylib",
  freebsd: "libc.so.7",
};
const SIGNALS = { SIGTERM: 15, SIGKILL: 9 } as const;
const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;

export interface ProcessGroups {
  /** Sends a signal to every process of a group. @throws RangeError if `group` is not the id of a group */
  end(group: number, signal: keyof typeof SIGNALS): void;
  /** Whether a group has a process, zombies included. */
  isAlive(group: number): boolean;
  /**
   * Makes descendants whose parent ends children of this process, whatever their group. Returns whether the system supports
   * this; only Linux does.
   */
  adoptOrphans(): boolean;
  /**
   * Whether this process has a child, or after `adoptOrphans` any descendant. Reaps ended children: call it only once Deno has
   * the status of every child that it started.
   */
  hasChildren(): boolean;
  /** Sends SIGKILL to every child of this process, whatever its group. Linux only. */
  killChildren(): void;
}

/** Cannot hit other processes: an ended child keeps its id until `hasChildren` is called. Skips the shell, also a child. */
const KILL_CHILDREN =
  `for child in $(cat /proc/$PPID/task/*/children); do [ "$child" -le 1 ] || [ "$child" = $$ ] || kill -9 "$child"; done 2>/dev/null`;

/** @throws Error on a system whose C library has another name */
export function openProcessGroups(): ProcessGroups {
  const { os } = Deno.build;
  const { symbols } = Deno.dlopen(LIBRARY[os] ?? "libc.so", {
    kill: { parameters: ["i32", "i32"], result: "i32" },
    waitpid: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  });
  return {
    end: (group, signal) => void symbols.kill(-processId(group), SIGNALS[signal]),
    isAlive: (group) => symbols.kill(-processId(group), 0) === 0,
    adoptOrphans() {
      if (os !== "linux") return false;
      const { symbols: { prctl } } = Deno.dlopen(LIBRARY.linux!, {
        prctl: { parameters: ["i32", "usize", "usize", "usize", "usize"], result: "i32" },
      });
      return prctl(PR_SET_CHILD_SUBREAPER, 1n, 0n, 0n, 0n) === 0;
    },
    hasChildren() {
      while (true) {
        const reaped = symbols.waitpid(-1, null, WNOHANG);
        if (reaped <= 0) return reaped === 0;
      }
    },
    killChildren() {
      if (os !== "linux") return;
      const { symbols: { system } } = Deno.dlopen(LIBRARY.linux!, {
        system: { parameters: ["buffer"], result: "i32" },
      });
      system(new TextEncoder().encode(`${KILL_CHILDREN}\0`));
    },
  };
}
