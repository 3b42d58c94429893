import { openProcessGroups, type ProcessGroups } from "./process_group.ts";

/**
 * Runs one program in a process group of its own and leaves nothing of that group behind:
 * `guard.ts <program> <mark> <until> <argument>...`, started by the launcher of guard_launcher.ts, read by guarded.ts.
 *
 * The program gets this process's stdout, stderr and environment, and no stdin. It is ended with its group at `until` (ms since
 * 1970), when stdin ends (the hub asks so, or is gone), or on SIGTERM. Two lines on stderr begin with `mark`: the first comes
 * before the program is started, the last is followed by an `End`, in JSON, once the group is empty.
 */
export interface End {
  /** Why the program was never started. */
  failed?: string;
  code?: number;
  signal?: string | null;
  /** Who ended it; null if it ended by itself. */
  ended?: "limit" | "request" | null;
  /** A process below it still ran when it had ended by itself. */
  outlived?: boolean;
  /** A process below it left the group, or cannot be ended, and still runs. */
  left?: boolean;
}

/** How long what a program started may take to end by itself after it: a `tee`, a process substitution of a shell. */
const SETTLE_MS = 1000;
/** From SIGTERM to SIGKILL, and from there until a process counts as one that cannot be ended. */
const TERM_MS = 2000;
const KILL_MS = 2000;
/** How long what left the group is ended for, where the hub is gone. */
const CHASE_MS = 2000;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Returns whether it came to be true within `ms`. */
async function comes(isTrue: () => boolean, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  for (let wait = 1; !isTrue(); wait = Math.min(20, wait * 2)) {
    if (performance.now() > end) return false;
    await sleep(wait);
  }
  return true;
}

/** Resolves when the hub closes this process's stdin, or is gone. */
async function stdinEnd(): Promise<void> {
  const buffer = new Uint8Array(64);
  while (await Deno.stdin.read(buffer).catch(() => null) !== null) {
    // Nothing is sent.
  }
}

/** After the program: waits for what it started, ends it, and reports what cannot be ended. */
async function clear(groups: ProcessGroups, group: number, isAdopting: boolean, settleMs: number) {
  const isEmpty = isAdopting ? () => !groups.hasChildren() : () => !groups.isAlive(group);
  if (isEmpty()) return { outlived: false, left: false };
  if (await comes(isEmpty, settleMs)) return { outlived: true, left: false };
  const isOver = () => isEmpty() || !groups.isAlive(group);
  groups.end(group, "SIGTERM");
  if (!await comes(isOver, TERM_MS)) {
    groups.end(group, "SIGKILL");
    await comes(isOver, KILL_MS);
  }
  return { outlived: true, left: !isEmpty() };
}

/**
 * Ends what left the group, where no hub reads that it did: the next one would take the submission for over. What a process that
 * ends had started becomes a child of this one, and its turn comes too.
 */
async function chase(): Promise<void> {
  const groups = openProcessGroups();
  const end = performance.now() + CHASE_MS;
  while (groups.hasChildren() && performance.now() < end) {
    groups.killChildren();
    await sleep(20);
  }
}

async function run(program: string, until: number, args: string[], begin: () => void): Promise<End> {
  const groups = openProcessGroups();
  const isAdopting = groups.adoptOrphans();
  const asked = Promise.withResolvers<"request">();
  for (const signal of ["SIGINT", "SIGHUP"] as const) Deno.addSignalListener(signal, () => {});
  Deno.addSignalListener("SIGTERM", () => asked.resolve("request"));
  stdinEnd().then(() => asked.resolve("request"));
  const leftMs = until - Date.now();
  if (!(leftMs > 0)) return { failed: "its time was over before it could be started" };
  begin();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args,
      detached: true,
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    })
      .spawn();
  } catch (error) {
    return { failed: (error as Error).message };
  }
  let status: Deno.CommandStatus | undefined;
  const exited = child.status.then((value) => {
    status = value;
    return null;
  });
  const ended = await Promise.race([exited, asked.promise, sleep(leftMs).then(() => "limit" as const)]);
  if (ended !== null) {
    groups.end(child.pid, "SIGTERM");
    if (!await comes(() => status !== undefined, TERM_MS)) {
      groups.end(child.pid, "SIGKILL");
      if (!await comes(() => status !== undefined, KILL_MS)) return { ended, left: true };
    }
  }
  const { code, signal } = status!;
  return {
    code,
    signal,
    ended,
    ...await clear(groups, child.pid, isAdopting, ended === null ? SETTLE_MS : 0),
  };
}

if (import.meta.main) {
  const [program, mark, until, ...args] = Deno.args;
  /** Returns whether there is a hub to read it. */
  const write = (text: string): boolean => {
    try {
      return Deno.stderr.writeSync(new TextEncoder().encode(text)) > 0;
    } catch {
      return false;
    }
  };
  let hasBegun = false;
  const begin = () => {
    hasBegun = true;
    write(`${mark}\n`);
  };
  const end = await run(program!, Number(until), args, begin)
    .catch((error): End => hasBegun ? { left: true } : { failed: (error as Error).message });
  const isRead = write(`\n${mark} ${JSON.stringify(end)}\n`);
  if (end.left && !isRead) await chase();
  Deno.exit(0);
}
