import { openProcessGroups, type ProcessGroups } from "./process_group.ts";

/**
 * Runs one program in its own process group and ends all of that group with it:
 * `guard.ts <program> <mark> <until> <argument>...`, started by the launcher of guard_launcher.ts, read by guarded.ts.
 *
 * The program inherits stdout, stderr and the environment, and has no stdin. The program and its group are ended at `until` (ms
 * since 1970), when stdin ends (by the hub's request or its end), or on SIGTERM. Two lines on stderr begin with `mark`: the
 * first is written before the program is started; the last, once the group is empty, contains an `End` as JSON.
 */
export interface End {
  /** Why the program was never started. */
  failed?: string;
  code?: number;
  signal?: string | null;
  /** Why the guard ended it; null if it ended by itself. */
  ended?: "limit" | "request" | null;
  /** A descendant still ran after it had ended by itself. */
  outlived?: boolean;
  /** A descendant left the group or cannot be ended, and still runs. */
  left?: boolean;
}

/** Grace time for descendants after the program's end, such as a `tee` or a shell's process substitution. */
const SETTLE_MS = 1000;
/** Time from SIGTERM to SIGKILL, and from SIGKILL until a process counts as one that cannot be ended. */
const TERM_MS = 2000;
const KILL_MS = 2000;
/** How long descendants outside of the group are killed if the hub has ended. */
const CHASE_MS = 2000;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits up to `ms` for a condition. Returns whether it became true. */
async function comes(isTrue: () => boolean, ms: number): Promise<boolean> {
  const end = performance.now() + ms;
  for (let wait = 1; !isTrue(); wait = Math.min(20, wait * 2)) {
    if (performance.now() > end) return false;
    await sleep(wait);
  }
  return true;
}

/** Resolves when the hub closes this process's stdin or ends. */
async function stdinEnd(): Promise<void> {
  const buffer = new Uint8Array(64);
  while (await Deno.stdin.read(buffer).catch(() => null) !== null) {
    // Nothing is sent.
  }
}

/** After the program's end: waits for its descendants, ends them, and reports whether any still runs. */
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
 * Kills descendants that left the group when no hub is there to read that they did, because the next hub would assume that
 * the submission is over. Children of a killed process become children of this one, and are killed in turn.
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
  /** Writes to stderr. Returns whether a hub reads it. */
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
