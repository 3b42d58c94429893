import { reasonOf } from "../errors.ts";

/** A server that the hub needs, and that this program started or took over. */
export interface Part {
  /** As in `the embedded Postgres`. */
  name: string;
  /** Whether it can be reached. */
  isUp(): Promise<boolean>;
  /** Starts it, or takes over one that was started meanwhile. */
  start(): Promise<unknown>;
  stop(): Promise<void>;
}

export interface SuperviseOptions {
  /** Waits so many ms, or until `signal` aborts. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  /** For people. */
  print(line: string): void;
}

const LOOK_MS = 1_000;
/** A start that failed is tried again after a second, then after twice as long each time, up to a minute. */
const LONGEST_MS = 60_000;

/** Starts the parts again that end while the hub runs. Returns a function that ends this, and waits for a start under way. */
export function supervise(parts: readonly Part[], { wait, print }: SuperviseOptions): () => Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  async function watch(part: Part): Promise<void> {
    for (let failures = 0; !signal.aborted;) {
      await wait(Math.min(LONGEST_MS, LOOK_MS * 2 ** failures), signal);
      // Twice: one that is busy may miss a question.
      if (signal.aborted || await part.isUp() || await part.isUp()) {
        failures = 0;
        continue;
      }
      print(`${part.name} has ended; it is started again.`);
      try {
        await part.start();
        failures = 0;
        print(`${part.name} runs again.`);
      } catch (error) {
        failures++;
        print(`${part.name} could not be started again: ${reasonOf(error)}`);
      }
    }
  }
  const watches = parts.map(watch);
  return async () => {
    over.abort();
    await Promise.all(watches);
  };
}
