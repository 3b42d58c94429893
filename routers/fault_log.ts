export type Level = "info" | "warn" | "error";
export type Log = (level: Level, message: string, fields?: Record<string, unknown>) => void;

/** How long the repeats of a fault are only counted, in ms. */
const QUIET_MS = 60_000;

export interface FaultLog {
  /** Logs the first fault of a kind at once, and its repeats once a minute with their `count`. */
  add(kind: string, fields?: Record<string, unknown>): void;
  /** Logs what was counted and is due; to be called now and then, so that the last repeats are logged too. */
  flush(): void;
}

interface Counted {
  /** In ms, as by `now`. */
  loggedAt: number;
  count: number;
  fields: Record<string, unknown>;
}

/** Keeps a state that fails every request, such as a database that is unavailable, from filling the log. */
export function createFaultLog({ log, now }: { log: Log; now(): Date }): FaultLog {
  const kinds = new Map<string, Counted>();

  function report(kind: string, counted: Counted): void {
    const { count, fields } = counted;
    counted.loggedAt = now().getTime();
    counted.count = 0;
    log("error", kind, { ...fields, count });
  }

  const isDue = ({ loggedAt }: Counted) => now().getTime() - loggedAt >= QUIET_MS;
  return {
    add(kind, fields = {}) {
      const counted = kinds.get(kind);
      if (counted === undefined) {
        kinds.set(kind, { loggedAt: now().getTime(), count: 0, fields });
        return log("error", kind, fields);
      }
      counted.count++;
      counted.fields = fields;
      if (isDue(counted)) report(kind, counted);
    },
    flush() {
      for (const [kind, counted] of kinds) {
        if (!isDue(counted)) continue;
        if (counted.count > 0) report(kind, counted);
        // A minute without it: the next one is a new state.
        else kinds.delete(kind);
      }
    },
  };
}
