import { reasonOf } from "../errors.ts";

/** A server that the hub requires and that this program started or took over. */
export interface Part {
  /** For messages, such as `The embedded Postgres`. */
  name: string;
  /** Whether it can be reached. */
  isUp(): Promise<boolean>;
  /** Starts the server, or takes over a running one. */
  start(): Promise<unknown>;
  stop(): Promise<void>;
}

export interface SuperviseOptions {
  /** Waits `ms`, or until `signal` aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  /** Prints a line for the operator. */
  print(line: string): void;
}

const CHECK_MS = 1_000;
/** Maximum pause between attempts to start: the pause begins at 1 s and doubles after each failure. */
const LONGEST_MS = 60_000;

/** Restarts parts that end while the hub runs. Returns a function that stops this and waits for a start in progress. */
export function supervise(parts: readonly Part[], { wait, print }: SuperviseOptions): () => Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  async function watch(part: Part): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      await wait(Math.min(LONGEST_MS, CHECK_MS * 2 ** failures), signal);
      // Checked twice, since a busy server may miss one check.
      if (signal.aborted || await part.isUp() || await part.isUp()) {
        failures = 0;
        continue;
      }
      print(`${part.name} has ended; restarting it.`);
      try {
        await part.start();
        failures = 0;
        print(`${part.name} is running again.`);
      } catch (error) {
        failures++;
        print(`${part.name} could not be restarted: ${reasonOf(error)}`);
      }
    }
  }
  const watches = parts.map(watch);
  return async () => {
    over.abort();
    await Promise.all(watches);
  };
}
