import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { follow } from "./leftovers.ts";
import { Exchange } from "./protocol.ts";

/** Limits, in ms, for connections that are silent while the server owes an answer. */
export interface SilenceLimits {
  /** After this time a second connection queries whether the server is working on the statement. */
  askMs: number;
  /** Time limit of that query. */
  answerMs: number;
  /** Limit if the server does not answer the second connection either. */
  unreachableMs: number;
  /** Limit if the server's activity is unknown, for example behind a pooler that hides it. */
  unknownMs: number;
  /** Limit for a statement that waits for a lock. */
  lockMs: number;
  /** Limit for a statement that is running. */
  statementMs: number;
}

export const DEFAULT_LIMITS: SilenceLimits = {
  askMs: 5_000,
  answerMs: 5_000,
  unreachableMs: 15_000,
  unknownMs: 60_000,
  lockMs: 120_000,
  statementMs: 600_000,
};

/** The server's activity for a connection, by its name. */
export interface Activity {
  name: string;
  isWorking: boolean;
  waitsForLock: boolean;
}

/** The watch's queries to the server, on connections of their own. */
export interface Inquiry {
  /**
   * Returns the activity of the connections that the server has, or undefined if it does not list names.
   * @throws if the server does not answer
   */
  find(names: string[]): Promise<Activity[] | undefined>;
  /** Cancels the statements of these connections. */
  cancel(names: string[]): Promise<void>;
  /** Terminates these connections, which also ends their transactions and locks. */
  end(names: string[]): Promise<void>;
}

export type Verdict = "wait" | "suspect" | "cancel" | "destroy";

/** Decides about a connection that is silent for `silentMs`. `found`: the server's report, or "unreachable". */
export function judge(
  { name, silentMs }: { name: string; silentMs: number },
  found: Activity[] | undefined | "unreachable",
  limits: SilenceLimits,
): Verdict {
  if (found === "unreachable") return silentMs > limits.unreachableMs ? "destroy" : "wait";
  if (found === undefined || name === "") return silentMs > limits.unknownMs ? "destroy" : "wait";
  const activity = found.find((candidate) => candidate.name === name);
  if (activity?.isWorking !== true) return "suspect";
  return silentMs > (activity.waitsForLock ? limits.lockMs : limits.statementMs) ? "cancel" : "wait";
}

/** The SQLSTATE field in the error of a read-only server that rejects a write. */
const READ_ONLY = "C25006\0";
/** Minimum age of a connection to be replaced after the server rejected a write. */
const RENEW_MS = 5_000;
const MOST_TRIES = 20;
/** How long a cancelled statement may take to end. */
const CANCEL_MS = 10_000;

/** Number of bytes written at once: a partly sent chunk does not show its progress. */
const PIECE = 1 << 18;

interface Watched {
  socket: Socket;
  exchange: Exchange;
  /** Chunks received, and bytes sent while more were waiting: either shows that the connection is alive. */
  received: number;
  progress: number;
  silentSince: number;
  isSuspect: boolean;
  cancelledAt: number | undefined;
  openedAt: number;
  /** Since when the connection is due for replacement, which happens once it is idle. */
  staleSince: number | undefined;
  /** The server rejected a write on it as read-only. */
  isReadOnly: boolean;
  /** The driver has closed its side, and waits for the server to close too. */
  isEnding: boolean;
}

export interface WatchOptions {
  inquiry: Inquiry;
  limits: SilenceLimits;
  /** Returns the time in ms, like `performance.now`. */
  now(): number;
  /** Called when connections were closed because they were silent. */
  onSilent?: ((count: number) => void) | undefined;
}

/**
 * Closes connections that went silent. If a server, network or firewall forgets a connection, what is sent on it gets no
 * answer for a quarter of an hour, or ever. A second connection asks the server, so that a slow statement is not mistaken
 * for a loss.
 */
export class Watch {
  readonly #all = new Set<Watched>();
  /** Names of server connections to terminate, with the number of tries so far. */
  readonly #orphans = new Map<string, number>();
  #isAsking = false;

  constructor(private readonly options: WatchOptions) {}

  get size(): number {
    return this.#all.size;
  }

  add(socket: Socket): void {
    const watched: Watched = {
      socket,
      exchange: new Exchange(),
      received: 0,
      progress: 0,
      silentSince: this.options.now(),
      isSuspect: false,
      cancelledAt: undefined,
      openedAt: this.options.now(),
      staleSince: undefined,
      isReadOnly: false,
      isEnding: false,
    };
    this.#all.add(watched);
    socket.once("close", () => this.#all.delete(watched));
    socket.on("data", (chunk: Buffer) => {
      watched.received++;
      if (watched.exchange.errors.length > 0 && chunk.includes(READ_ONLY)) this.#meetReadOnly(watched);
      // After the driver has processed the answer, and perhaps sent the next statement.
      if (watched.staleSince !== undefined) setImmediate(() => this.#replace(watched));
    });
    follow(socket, watched.exchange);
    const { write, end } = socket;
    Object.assign(socket, {
      // With `_writev`, Node would send waiting chunks as one.
      _writev: null,
      write(chunk: Buffer, done?: () => void) {
        watched.exchange.sent(chunk);
        let at = 0;
        for (; at + PIECE < chunk.length; at += PIECE) write.call(socket, chunk.subarray(at, at + PIECE));
        return Reflect.apply(write, socket, [at === 0 ? chunk : chunk.subarray(at), done]);
      },
      end(...all: unknown[]) {
        watched.isEnding = true;
        return Reflect.apply(end, socket, all);
      },
    });
  }

  /**
   * A connection keeps the state it was opened with, such as a server that was demoted since, or a default that was
   * changed since. So all connections are replaced after a rejected write, except young ones: they would be reopened
   * again and again while the database is read-only.
   */
  #meetReadOnly(watched: Watched): void {
    const now = this.options.now();
    watched.isReadOnly = true;
    if (now - watched.openedAt < RENEW_MS) return;
    for (const one of this.#all) {
      if (now - one.openedAt >= RENEW_MS) one.staleSince ??= now;
      setImmediate(() => this.#replace(one));
    }
  }

  #replace({ socket, exchange, staleSince, isReadOnly }: Watched): void {
    if (staleSince === undefined || exchange.isInTransaction) return;
    // A connection that is never idle is replaced too: its writes fail anyway.
    const isDue = isReadOnly && this.options.now() - staleSince > RENEW_MS;
    if (exchange.state === "idle" || isDue) socket.destroy();
  }

  /** Checks every connection. Call it about once a second. */
  async look(): Promise<void> {
    const silent: Watched[] = [];
    for (const one of this.#all) {
      this.#replace(one);
      if (this.#silentMs(one) < this.options.limits.askMs) continue;
      if (one.isEnding) one.socket.destroy();
      else silent.push(one);
    }
    if (this.#isAsking || silent.length === 0 && this.#orphans.size === 0) return;
    this.#isAsking = true;
    try {
      if (silent.length > 0) await this.#decide(silent);
      if (this.#orphans.size > 0) await this.#endOrphans();
    } finally {
      this.#isAsking = false;
    }
  }

  /** Returns how long, in ms, the server has owed an answer or accepted no rows of a copy. */
  #silentMs(one: Watched): number {
    const { socket, exchange } = one;
    const waiting = socket.writableLength;
    const progress = one.received + (waiting > 0 ? socket.bytesWritten - waiting : 0);
    const isOwed = one.isEnding || exchange.state === "answering" ||
      exchange.state === "copying" && waiting > 0;
    if (!isOwed || progress !== one.progress) {
      one.progress = progress;
      one.silentSince = this.options.now();
      one.isSuspect = false;
      one.cancelledAt = undefined;
    }
    return this.options.now() - one.silentSince;
  }

  async #decide(silent: Watched[]): Promise<void> {
    const { inquiry, limits } = this.options;
    const found = await inquiry.find(silent.map((one) => one.exchange.name))
      .catch(() => "unreachable" as const);
    const dead: Watched[] = [];
    const slow: Watched[] = [];
    for (const one of silent) {
      const silentMs = this.#silentMs(one);
      // The connection was answered meanwhile.
      if (silentMs < limits.askMs) continue;
      const verdict = judge({ name: one.exchange.name, silentMs }, found, limits);
      // The server may have answered just before the query: a suspect is checked once more before it is closed.
      const isDead = verdict === "destroy" || verdict === "suspect" && one.isSuspect ||
        one.cancelledAt !== undefined && this.options.now() - one.cancelledAt > CANCEL_MS;
      if (isDead) dead.push(one);
      else if (verdict === "cancel" && one.cancelledAt === undefined) slow.push(one);
      one.isSuspect = verdict === "suspect";
    }
    for (const one of slow) one.cancelledAt = this.options.now();
    if (dead.length > 0) {
      // If one connection was lost, other idle ones probably are too, and new ones are cheap. They are closed first, so
      // that queries that follow the errors do not use them.
      await this.#dropIdle();
      for (const { socket } of dead) socket.destroy();
      this.options.onSilent?.(dead.length);
    }
    const namesOf = (some: Watched[]) => some.map((one) => one.exchange.name).filter(Boolean);
    if (slow.length > 0) await inquiry.cancel(namesOf(slow)).catch(() => {});
    for (const name of namesOf(dead)) this.#orphans.set(name, 0);
  }

  /** Terminates server connections that were closed on this side: their transactions may still have locks. */
  async #endOrphans(): Promise<void> {
    const names = [...this.#orphans.keys()];
    const isDone = await this.options.inquiry.end(names).then(() => true, () => false);
    for (const name of names) {
      const tries = this.#orphans.get(name)! + 1;
      if (isDone || tries === MOST_TRIES) this.#orphans.delete(name);
      else this.#orphans.set(name, tries);
    }
  }

  async #dropIdle(): Promise<void> {
    const idle = [...this.#all].filter(({ exchange }) =>
      exchange.state === "idle" && !exchange.isInTransaction
    );
    await Promise.all(idle.map(({ socket }) => {
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.destroy();
      return closed;
    }));
  }
}
