import { HubError, reasonOf } from "../errors.ts";

/** What a submission says; becomes arguments of vrlsubmit. */
export interface Submission {
  /** host[:port] of VRL_URL. */
  server: string;
  user: string;
  os: string;
  test: string;
  packageUrl: string;
  note: string;
  report: "email" | "none";
  /** Wins over a pool. */
  machine?: string;
  pool?: string;
}

export type SubmitOutcome =
  | { kind: "accepted"; serials: number[] }
  | { kind: "refused"; exitCode: number; reason: string }
  | { kind: "timeout" }
  /** It ended well, but what it printed cannot be understood. */
  | { kind: "unclear"; reason: string };

export interface RunOptions {
  path: string;
  timeoutMs: number;
  /** Bytes kept of each of stdout and stderr; the rest is read and thrown away. */
  outputLimit?: number;
  /** The whole environment of the program. */
  env: Record<string, string>;
  signal?: AbortSignal;
}

/** The argument list: the one place to change for a site with other flags. @throws HubError BAD_REQUEST naming the field */
export function buildArguments(submission: Submission): string[] {
  const { server, user, os, test, packageUrl, note, report, machine, pool } = submission;
  const where = machine !== undefined ? ["-m", machine] : pool !== undefined ? ["-l", pool] : undefined;
  if (where === undefined) throw new HubError("BAD_REQUEST", "A submission needs a machine or a pool.");
  const fields = {
    server,
    user,
    os,
    test,
    packageUrl,
    note,
    report,
    [machine !== undefined ? "machine" : "pool"]: where[1]!,
  };
  for (const [name, value] of Object.entries(fields)) {
    if (value === "" || value.startsWith("-") || /\p{Cc}/u.test(value)) {
      throw new HubError(
        "BAD_REQUEST",
        `The ${name} of a submission must not be empty, begin with \`-\` or hold control characters (now: ${
          JSON.stringify(value)
        }).`,
      );
    }
  }
  return [
    "-s",
    server,
    "-u",
    user,
    "-o",
    os,
    "-t",
    test,
    "-z",
    packageUrl,
    "-n",
    note,
    "-r",
    report,
    ...where,
  ];
}

/** Serial numbers out of `Submission accepted as job(s) 1234 1235`. @throws HubError BAD_GATEWAY where there is no such line */
export function parseSerials(stdout: string): number[] {
  const words = /^Submission accepted as job\(s\)[ \t](.*)$/m.exec(stdout)?.[1]?.trim().split(/[ \t,]+/);
  const serials = words?.map((word) => /^\d+$/.test(word) ? Number(word) : Number.NaN) ?? [];
  if (
    serials.length === 0 || serials.length > 1000 ||
    !serials.every((serial) => Number.isSafeInteger(serial) && serial > 0)
  ) {
    throw new HubError(
      "BAD_GATEWAY",
      `vrlsubmit ended well but named no serial numbers: ${JSON.stringify(stdout.slice(0, 200))}`,
    );
  }
  return [...new Set(serials)];
}

/** @throws HubError SERVICE_UNAVAILABLE that says what to set */
export async function checkExecutable(path: string): Promise<void> {
  const info = await Deno.stat(path).catch((error) => {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `vrlsubmit is not at ${path} (${
        reasonOf(error)
      }); set VRLSUBMIT_PATH to the program that submits jobs.`,
    );
  });
  if (!info.isFile || info.mode !== null && (info.mode & 0o111) === 0) {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `${path} cannot be executed; make it so, or set VRLSUBMIT_PATH to the program that submits jobs.`,
    );
  }
}

/** Runs vrlsubmit once: no shell, a cleared environment, limits of time and output. Never throws for what it does. */
export async function runVrlsubmit(
  submission: Submission,
  { path, timeoutMs, outputLimit = 1 << 20, env, signal }: RunOptions,
): Promise<SubmitOutcome & { stdout: string; stderr: string; durationMs: number }> {
  const started = performance.now();
  const done = (outcome: SubmitOutcome, stdout = "", stderr = "") => ({
    ...outcome,
    stdout,
    stderr,
    durationMs: Math.round(performance.now() - started),
  });
  let child: Deno.ChildProcess;
  try {
    const args = buildArguments(submission);
    child = new Deno.Command(path, {
      args,
      clearEnv: true,
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    return done({ kind: "refused", exitCode: -1, reason: `it could not be started: ${reasonOf(error)}` });
  }
  let isLate = false;
  const stop = () => {
    isLate = true;
    kill(child, "SIGTERM");
    setTimeout(() => kill(child, "SIGKILL"), 2000);
  };
  const timer = setTimeout(stop, timeoutMs);
  signal?.addEventListener("abort", stop, { once: true });
  const out = readBounded(child.stdout, outputLimit);
  const err = readBounded(child.stderr, outputLimit);
  const status = await child.status;
  clearTimeout(timer);
  signal?.removeEventListener("abort", stop);
  // A grandchild may keep the pipes open for ever: what has come by now is what counts.
  const grace = setTimeout(() => [out, err].forEach((reader) => reader.cancel()), 500);
  const [stdout, stderr] = await Promise.all([out.text, err.text]);
  clearTimeout(grace);
  if (isLate) return done({ kind: "timeout" }, stdout, stderr);
  if (!status.success) {
    return done(
      { kind: "refused", exitCode: status.code, reason: stderr.trim().slice(0, 1000) || "it gave no reason" },
      stdout,
      stderr,
    );
  }
  try {
    return done({ kind: "accepted", serials: parseSerials(stdout) }, stdout, stderr);
  } catch (error) {
    return done({ kind: "unclear", reason: reasonOf(error) }, stdout, stderr);
  }
}

function kill(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has ended.
  }
}

function readBounded(
  stream: ReadableStream<Uint8Array>,
  limit: number,
): { text: Promise<string>; cancel(): void } {
  const reader = stream.getReader();
  async function read(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let left = limit;
    while (true) {
      const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
      if (done || value === undefined) break;
      if (left > 0) text += decoder.decode(value.subarray(0, left), { stream: true });
      left -= value.byteLength;
    }
    return (text + decoder.decode()).replaceAll("\0", "\uFFFD");
  }
  return { text: read(), cancel: () => void reader.cancel().catch(() => {}) };
}
