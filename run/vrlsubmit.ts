import { HubError, reasonOf } from "../errors.ts";
import { VRLSUBMIT_EXIT } from "./exit_codes.ts";
import { type GuardedEnd, runGuarded } from "./guarded.ts";

const MAX_SERIALS = 1000;

/** A submission, which becomes the arguments of vrlsubmit. */
export interface Submission {
  /** host[:port] of VRL_URL. */
  server: string;
  user: string;
  os: string;
  test: string;
  packageUrl: string;
  note: string;
  report: "email" | "none";
  /** Takes precedence over `pool`. */
  machine?: string;
  pool?: string;
}

export type SubmitOutcome =
  | { kind: "accepted"; serials: number[] }
  /** The lab has not stored the submission and will not. */
  | { kind: "refused"; exitCode: number; reason: string }
  /** Nothing was sent: the lab is unreachable, or the program could not be started. */
  | { kind: "unsent"; reason: string }
  /** The lab may have stored the submission. `isOver`: no process is left that could still send it. */
  | { kind: "unknown"; reason: string; isOver: boolean };

export interface RunOptions {
  /** The program that starts vrlsubmit, see guard_launcher.ts. */
  guard: string;
  /** Time at which the submission is ended, in ms since 1970. */
  until: number;
  signal?: AbortSignal | undefined;
}

/** The argument list; the only code to change for a site with other flags. @throws HubError BAD_REQUEST naming the field */
export function buildArguments(submission: Submission): string[] {
  const { server, user, os, test, packageUrl, note, report, machine, pool } = submission;
  const where = machine !== undefined ? ["-m", machine] : pool !== undefined ? ["-l", pool] : undefined;
  if (where === undefined) throw new HubError("BAD_REQUEST", "A submission requires a machine or a pool.");
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
        `The ${name} of a submission must not be empty, begin with \`-\` or contain control characters, got ${
          JSON.stringify(value)
        }.`,
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

/** Parses the serials of a line `Submission accepted as job(s) 1234 1235`; undefined for any other or an incomplete line. */
export function parseSerials(line: string): number[] | undefined {
  const words = /^Submission accepted as job\(s\)[ \t]([^]*)$/.exec(line)?.[1]?.trim().split(/[ \t,]+/);
  const serials = words?.map((word) => /^\d+$/.test(word) ? Number(word) : Number.NaN) ?? [];
  if (serials.length === 0 || serials.length > MAX_SERIALS) return undefined;
  const areGood = serials.every((serial) => Number.isSafeInteger(serial) && serial > 0);
  return areGood ? [...new Set(serials)] : undefined;
}

/** @throws HubError SERVICE_UNAVAILABLE that names the setting to change */
export async function checkExecutable(path: string): Promise<void> {
  const info = await Deno.stat(path).catch((error) => {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `vrlsubmit cannot be found at ${path} (${
        reasonOf(error)
      }); set VRLSUBMIT_PATH to the program that submits jobs.`,
    );
  });
  if (!info.isFile || info.mode !== null && (info.mode & 0o111) === 0) {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `${path} is not executable; chmod +x it, or set VRLSUBMIT_PATH to the program that submits jobs.`,
    );
  }
}

/** Runs vrlsubmit once, without a shell, in a cleared environment, with limited time and output. Never throws because of it. */
export async function runVrlsubmit(
  submission: Submission,
  options: RunOptions,
): Promise<SubmitOutcome & { stdout: string; stderr: string }> {
  let args: string[];
  try {
    args = buildArguments(submission);
  } catch (error) {
    return { kind: "refused", exitCode: -1, reason: reasonOf(error), stdout: "", stderr: "" };
  }
  const serials = new Set<number>();
  let last: number[] | undefined;
  const keep = (named: number[]) =>
    named.forEach((serial) => serials.size < MAX_SERIALS && serials.add(serial));
  const end = await runGuarded(args, {
    ...options,
    onLine(line, isWhole) {
      const named = parseSerials(line);
      if (named !== undefined && isWhole) keep(named);
      else last = named;
    },
  });
  // If the program was killed in the middle of a line, the last serial may lack digits.
  if (last !== undefined && isExit(end)) keep(last);
  const { stdout, stderr } = end;
  return { ...outcomeOf(end, { serials: [...serials], stdout, stderr }), stdout, stderr };
}

/** Whether the program ended by itself. A shell reports a program killed by a signal as exit code 128 + signal. */
function isExit(end: GuardedEnd): boolean {
  return end.kind === "ended" && end.ended === null && end.signal === null &&
    !(end.code > 128 && end.code <= 192);
}

/** The outcome of a submission, derived from how vrlsubmit ended. */
function outcomeOf(
  end: GuardedEnd,
  { serials, stdout, stderr }: { serials: number[]; stdout: string; stderr: string },
): SubmitOutcome {
  if (end.kind === "not_started") {
    return { kind: "unsent", reason: `vrlsubmit could not be started: ${end.reason}` };
  }
  const hasSerials = serials.length > 0;
  if (end.kind === "lost") {
    return hasSerials
      ? { kind: "accepted", serials }
      : { kind: "unknown", reason: end.reason, isOver: false };
  }
  const { code, signal, ended, outlived, left } = end;
  const isKilled = !isExit(end);
  if (hasSerials && (code === 0 || isKilled)) return { kind: "accepted", serials };
  const unknown = (reason: string): SubmitOutcome => ({
    kind: "unknown",
    reason: left
      ? `${reason}; a process that it started left its group and may still submit the job`
      : reason,
    isOver: !left,
  });
  const reason = lastWords(stderr);
  if (ended === "limit") return unknown("vrlsubmit did not end within its time limit");
  if (ended === "request") return unknown("vrlsubmit was ended because the hub is stopping");
  if (isKilled) return unknown(`vrlsubmit was ended by ${signal ?? `a signal (exit ${code})`}`);
  if (code === 0) {
    return unknown(`vrlsubmit succeeded but printed no serial: ${JSON.stringify(stdout.slice(0, 200))}`);
  }
  if (code === VRLSUBMIT_EXIT.unknown) {
    return unknown(`vrlsubmit cannot determine whether the lab has the job: ${reason}`);
  }
  if (hasSerials) {
    return unknown(
      `vrlsubmit printed the serials ${serials.join(", ")} and then exited with ${code}: ${reason}`,
    );
  }
  if (outlived || left) {
    return unknown(
      `vrlsubmit exited with ${code} while a process that it had started was still running: ${reason}`,
    );
  }
  return code === VRLSUBMIT_EXIT.unsent
    ? { kind: "unsent", reason }
    : { kind: "refused", exitCode: code, reason };
}

function lastWords(stderr: string): string {
  return stderr.trim().slice(-900) || "no reason was given";
}
