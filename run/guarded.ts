import { reasonOf } from "../errors.ts";
import type { End } from "./guard.ts";
import { type Output, readOutput } from "./output.ts";

export interface GuardedOptions {
  /** The launcher of guard_launcher.ts. */
  guard: string;
  /** Time at which the program is ended, in ms since 1970. */
  until: number;
  /** The program is ended `REQUEST_MS` after this is aborted. */
  signal?: AbortSignal | undefined;
  /** Called with each line of the program's stdout, see output.ts. */
  onLine(line: string, isWhole: boolean): void;
}

export type GuardedEnd =
  /** The program was never started. */
  | { kind: "not_started"; reason: string }
  /** The program ended; for `outlived` and `left` see guard.ts. */
  | { kind: "ended"; code: number; signal: string | null; ended: "limit" | "request" | null }
    & { outlived: boolean; left: boolean }
  /** The guard has ended, or could not end the program, which may still run. */
  | { kind: "lost"; reason: string };

export type Guarded = GuardedEnd & { stdout: string; stderr: string };

const KEEP = { first: 960 << 10, last: 64 << 10 };
/** Grace time for a submission when the hub stops, which drains for 8 s. */
const REQUEST_MS = 3000;
/** The guard may take up to 8 s after `until`; after this time it is stuck. */
const STUCK_MS = 12_000;
/** If a pipe is open but idle for this long after the guard's end, a process that left its group keeps it open. */
const IDLE_MS = 500;
/** Maximum time to read a pipe after the guard's end. */
const REST_MS = 5000;

/** Runs the guard's program with `args`. Never throws because of the program. */
export async function runGuarded(args: string[], options: GuardedOptions): Promise<Guarded> {
  const { guard, until, signal, onLine } = options;
  const mark = `chub-guard-${crypto.randomUUID()}`;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(guard, {
      args: [mark, String(until), ...args],
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    return { kind: "not_started", reason: reasonOf(error), stdout: "", stderr: "" };
  }
  const marks: string[] = [];
  const out = readOutput(child.stdout, { keep: KEEP, onLine });
  const err = readOutput(child.stderr, {
    keep: KEEP,
    onLine: (line) => void (line.startsWith(mark) && marks.push(line.slice(mark.length + 1))),
  });
  const timers: ReturnType<typeof setTimeout>[] = [];
  const later = (act: () => void, ms: number) => void timers.push(setTimeout(act, ms));
  const stop = () => later(() => child.stdin.close().catch(() => {}), REQUEST_MS);
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted) stop();
  later(() => kill(child), Math.max(0, until - Date.now()) + STUCK_MS);
  await child.status;
  signal?.removeEventListener("abort", stop);
  timers.forEach(clearTimeout);
  child.stdin.close().catch(() => {});
  const areClosed = (await Promise.all([out, err].map(readRest))).every(Boolean);
  const stderr = withoutMarks(err.text(), mark);
  return { ...endOf(marks, areClosed, stderr), stdout: out.text(), stderr };
}

/** Removes the guard's lines from stderr, and the line end that precedes the last of them. */
function withoutMarks(text: string, mark: string): string {
  const pieces = text.split(mark).map((piece, at) =>
    at === 0 ? piece : piece.slice((piece.indexOf("\n") + 1) || piece.length)
  );
  const last = pieces.pop()!;
  return pieces.map((piece) => piece.endsWith("\n") ? piece.slice(0, -1) : piece).join("") + last;
}

/** Reads the rest of a pipe. Returns whether it was closed rather than kept open by another process. */
async function readRest(output: Output): Promise<boolean> {
  let isClosed = false;
  output.ended.then(() => isClosed = true);
  const from = performance.now();
  // Twice, so that a busy event loop reads pending data before the pipe counts as idle.
  for (let idle = 0; !isClosed && idle < 2 && performance.now() - from < REST_MS;) {
    const wait = Promise.withResolvers<void>();
    const timer = setTimeout(wait.resolve, IDLE_MS / 2);
    await Promise.race([output.ended, wait.promise]);
    clearTimeout(timer);
    idle = performance.now() - Math.max(from, output.lastAt()) > IDLE_MS / 2 ? idle + 1 : 0;
  }
  const wasClosed = isClosed;
  output.cancel();
  await output.ended;
  return wasClosed;
}

/** `marks`: the text after the mark in each of the guard's lines. */
function endOf(marks: string[], areClosed: boolean, stderr: string): GuardedEnd {
  const hasBegun = marks[0] === "";
  const end = parseEnd(marks.at(-1));
  if (end?.failed !== undefined) return { kind: "not_started", reason: end.failed };
  if (!hasBegun) {
    return {
      kind: "not_started",
      reason: `the guard of vrlsubmit did not start: ${stderr.trim().slice(-500)}`,
    };
  }
  if (end?.code === undefined) {
    const reason = end?.left ? "vrlsubmit cannot be ended" : "the guard of vrlsubmit was ended from outside";
    return { kind: "lost", reason };
  }
  return {
    kind: "ended",
    code: end.code,
    signal: end.signal ?? null,
    ended: end.ended ?? null,
    outlived: end.outlived === true,
    left: end.left === true || !areClosed,
  };
}

function parseEnd(text: string | undefined): End | undefined {
  try {
    return text === undefined || text === "" ? undefined : JSON.parse(text) as End;
  } catch {
    return undefined;
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
}
