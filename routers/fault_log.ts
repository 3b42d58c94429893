export type Level = "info" | "warn" | "error";
export type Log = (level: Level, message: string, fields?: Record<string, unknown>) => void;

/** How long the repeats of a fault are only counted, in ms. */
const QUIET_MS = 60_000;

export interface FaultLog {
  /**
   * Logs the first fault of a kind at once, and its repeats once a minute with their `count`. What differs in its numbers only,
   * such as bytes that are missing, is of one kind.
   */
  add(message: string, fields?: Record<string, unknown>): void;
  /** Logs what was counted and is due; to be called now and then, so that the last repeats are logged too. */
  flush(): void;
}

interface Counted {
  /** As it was said last. */
  message: string;
  /** In ms, as by `now`. */
  loggedAt: number;
  count: number;
  fields: Record<string, unknown>;
}

/** Keeps a state that fails every request, such as a database that is unavailable, from filling the log. */
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
        // A minute without it: the next one is a new state.
        else kinds.delete(kind);
      }
    },
  };
}
