import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { follow } from "./leftovers.ts";
import { Exchange } from "./protocol.ts";

/** How long connections may be silent while the server owes an answer, in ms. */
export interface SilenceLimits {
  /** Then the server is asked, on another connection, whether it is at work. */
  askMs: number;
  /** How long that question may take. */
  answerMs: number;
  /** If the server does not answer on another connection either. */
  unreachableMs: number;
  /** If it cannot be found whether the server is at work, as behind a pooler that hides it. */
  unknownMs: number;
  /** A statement that waits for a lock. */
  lockMs: number;
  /** A statement that is at work. */
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

/** What the server does for a connection, by its name. */
export interface Activity {
  name: string;
  isWorking: boolean;
  waitsForLock: boolean;
}

/** The watch's way to the server, on connections of its own. */
export interface Inquiry {
  /**
   * The activity of the connections that the server has; undefined if it does not show names. Throws if it does not answer.
   */
  find(names: string[]): Promise<Activity[] | undefined>;
  /** Cancels what these connections do. */
  cancel(names: string[]): Promise<void>;
  /** Ends these connections, and so their transactions and locks. */
  end(names: string[]): Promise<void>;
}

export type Verdict = "wait" | "suspect" | "cancel" | "destroy";

/** What to do with a connection that is silent for `silentMs`. `found`: what the server said; "unreachable" if nothing. */
export function judge(
  { name, silentMs }: { name: string; silentMs: number },
  found: Activity[] | undefined | "unreachable",
  limits: SilenceLimits,
): Verdict {
  if (found === "unreachable") return silentMs > limits.unreachableMs ? "destroy" : "wait";
  if (found === undefined || name === "") return silentMs > limits.unknownMs ? "destroy" : "wait";
  const activity = found.find((one) => one.name === name);
  if (activity?.isWorking !== true) return "suspect";
  return silentMs > (activity.waitsForLock ? limits.lockMs : limits.statementMs) ? "cancel" : "wait";
}

/** SQLSTATE of a write that a read-only server refuses, as an error's message has it. */
const READ_ONLY = "C25006\0";
/** How old a connection is at least that is replaced since its server refused a write. */
const RENEW_MS = 5_000;
const MOST_TRIES = 20;
/** How long a statement that was cancelled may take to end. */
const CANCEL_MS = 10_000;

/** Bytes that are written at once: it is not known how much was sent of a piece that is on its way. */
const PIECE = 1 << 18;

interface Watched {
  socket: Socket;
  exchange: Exchange;
  /** Pieces that were received, and bytes that were sent while more waited: either shows that the connection lives. */
  received: number;
  progress: number;
  silentSince: number;
  isSuspect: boolean;
  cancelledAt: number | undefined;
  openedAt: number;
  /** Since when it is to be replaced, as soon as it is not in use. */
  staleSince: number | undefined;
  /** The server refused a write on it. */
  isReadOnly: boolean;
  /** The driver has ended it, and waits for the server to do so too. */
  isEnding: boolean;
}

export interface WatchOptions {
  inquiry: Inquiry;
  limits: SilenceLimits;
  /** In ms, as `performance.now`. */
  now(): number;
  /** Called when connections were closed for their silence. */
  onSilent?: ((count: number) => void) | undefined;
}

/**
 * Ends connections that went silent: those whose server, network or firewall forgot them keep what is sent and answer
 * nothing, for a quarter of an hour or without end. A slow statement is distinguished by asking the server on another connection.
 */
export class Watch {
  readonly #all = new Set<Watched>();
  /** Connections of the server's side that are to be ended, with how often that was tried. */
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
      // Once the driver has taken the answer, and perhaps sent the next statement.
      if (watched.staleSince !== undefined) setImmediate(() => this.#replace(watched));
    });
    follow(socket, watched.exchange);
    const { write, end } = socket;
    Object.assign(socket, {
      // Pieces that wait would be sent as one.
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
   * A connection keeps what it was opened with: a server that was demoted, a default that was changed since. So after a refused
   * write all connections are replaced; young ones would be opened again and again while the database is read-only.
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
    // One that is in use all the time is replaced though: its writes fail anyway.
    const isDue = isReadOnly && this.options.now() - staleSince > RENEW_MS;
    if (exchange.state === "idle" || isDue) socket.destroy();
  }

  /** Looks at each connection; to be called about once a second. */
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

  /** How long the server owes an answer, or takes no rows of a copy. */
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
      // It answered meanwhile.
      if (silentMs < limits.askMs) continue;
      const verdict = judge({ name: one.exchange.name, silentMs }, found, limits);
      // The answer may have been sent in the moment of the question: a suspect gets until the next look.
      const isDead = verdict === "destroy" || verdict === "suspect" && one.isSuspect ||
        one.cancelledAt !== undefined && this.options.now() - one.cancelledAt > CANCEL_MS;
      if (isDead) dead.push(one);
      else if (verdict === "cancel" && one.cancelledAt === undefined) slow.push(one);
      one.isSuspect = verdict === "suspect";
    }
    for (const one of slow) one.cancelledAt = this.options.now();
    if (dead.length > 0) {
      // Where one was forgotten, others that are not in use probably are too; new ones cost little. First, so that what
      // follows the errors finds none of them.
      await this.#dropIdle();
      for (const { socket } of dead) socket.destroy();
      this.options.onSilent?.(dead.length);
    }
    const namesOf = (some: Watched[]) => some.map((one) => one.exchange.name).filter(Boolean);
    if (slow.length > 0) await inquiry.cancel(namesOf(slow)).catch(() => {});
    for (const name of namesOf(dead)) this.#orphans.set(name, 0);
  }

  /** Ends what the server still does for connections that were closed here: it may have locks. */
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
