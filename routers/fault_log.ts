export type Level = "info" | "warn" | "error";
export type Log = (level: Level, message: string, fields?: Record<string, unknown>) => void;

/** How long repeats of a fault are counted without being logged, in ms. */
const QUIET_MS = 60_000;

export interface FaultLog {
  /**
   * Logs the first fault of a kind at once, and its repeats once a minute with their `count`. Messages that differ only in
   * numbers, such as byte counts, are the same kind.
   */
  add(message: string, fields?: Record<string, unknown>): void;
  /** Logs due counts. Must be called periodically, so that the last repeats are logged too. */
  flush(): void;
}

interface Counted {
  /** The latest message. */
  message: string;
  /** In ms since 1970, by `now`. */
  loggedAt: number;
  count: number;
  fields: Record<string, unknown>;
}

/** Prevents a state that fails every request, such as an unavailable database, from filling the log. */
export function createFaultLog({ log, now }: { log: Log; now(): Date }): FaultLog {
  const kinds = new Map<string, Counted>();

  function report(counted: Counted): void {
    const { message, count, fields } = counted;
    counted.loggedAt = now().getTime();
    counted.count = 0;
    log("error", message, { ...fields, count });
  }

  const isDue = ({ loggedAt }: Counted) => now().getTime() - loggedAt >= QUIET_MS;
  return {
    add(message, fields = {}) {
      const kind = message.replace(/\d+/g, "0");
      const counted = kinds.get(kind);
      if (counted === undefined) {
        kinds.set(kind, { message, loggedAt: now().getTime(), count: 0, fields });
        return log("error", message, fields);
      }
      counted.count++;
      Object.assign(counted, { message, fields });
      if (isDue(counted)) report(counted);
    },
    flush() {
      for (const [kind, counted] of kinds) {
        if (!isDue(counted)) continue;
        if (counted.count > 0) report(counted);
        // After a minute without a repeat, the next fault counts as new.
        else kinds.delete(kind);
      }
    },
  };
}
