import { expect } from "vitest";
import type { Counts } from "../../schemas/outcome.ts";
import { HOME, type TestApp, testApp } from "./app.ts";

/** A result as the hub's API returns it. */
export interface Told {
  case: string;
  ordinal: number;
  outcome: string;
  word?: string;
  durationMs?: number;
  message?: string;
}

/** The stored run of a push, read back through the API. */
export interface Stored {
  runId: number;
  counts: Counts;
  missing: number;
  notes: string[];
  /** In the order of case and ordinal. */
  results: Told[];
  /** `case/ordinal/metric` -> value; the ordinal numbers the values of a metric within a case. */
  samples: Map<string, number | string>;
}

export interface Hub {
  app: TestApp;
  /** Pushes a file that a producer wrote; the hub must accept all of it. */
  push(path: string, name?: string): Promise<Stored>;
  stored(runId: number): Promise<Omit<Stored, "counts" | "missing" | "notes">>;
  close(): Promise<void>;
}

/** A hub with its own database, for pushes of real files. */
export async function producersHub(): Promise<Hub> {
  const app = await testApp();
  let changelist = 0;
  async function all<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let cursor = "";
    do {
      const page = await (await app.ask("GET", `${path}?limit=1000${cursor}`)).json();
      items.push(...page.items);
      cursor = page.nextCursor ? `&cursor=${page.nextCursor}` : "";
    } while (cursor !== "");
    return items;
  }
  const stored: Hub["stored"] = async (runId) => {
    const samples = await all<{ case: string; ordinal: number; metric: string; value: number | string }>(
      `/api/runs/${runId}/samples`,
    );
    return {
      runId,
      results: await all<Told>(`/api/runs/${runId}/results`),
      samples: new Map(samples.map((one) => [`${one.case}/${one.ordinal}/${one.metric}`, one.value])),
    };
  };
  return {
    app,
    stored,
    async push(path, name = path.split("/").at(-1)!) {
      const response = await app.ask("POST", `/api/results?test=real&changelist=${++changelist}`, {
        raw: await Deno.readFile(path),
        headers: { "content-type": "application/octet-stream", "x-file-name": name },
      });
      const body = await response.json();
      expect([response.status, body.rejected], JSON.stringify(body)).toEqual([201, []]);
      const read = await stored(body.runId);
      expect(read.results.length).toBe(body.accepted + body.missing);
      expect(read.samples.size).toBe(body.samples);
      const notes = body.notes.map((note: { place: string; text: string }) => `${note.place}: ${note.text}`);
      return { ...read, counts: body.counts, missing: body.missing, notes };
    },
    close: () => app.close(),
  };
}

/** A temporary folder with a copy of `tests/fixtures/producers/<name>`. */
export async function suiteOf(name: string): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: `chub-${name}-` });
  await copy(`${HOME}/tests/fixtures/producers/${name}`, folder);
  return folder;
}

async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    if (entry.isDirectory) await copy(`${from}/${entry.name}`, `${to}/${entry.name}`);
    else await Deno.copyFile(`${from}/${entry.name}`, `${to}/${entry.name}`);
  }
}

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** Runs a producer in a folder, in UTF-8 and without colours; the environment of this project's tests is not passed on. */
export async function run(
  cwd: string,
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<Ran> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    clearEnv: true,
    env: {
      PATH: `${Deno.env.get("PATH") ?? ""}:/usr/bin:/usr/sbin`,
      HOME: Deno.env.get("HOME") ?? cwd,
      LC_ALL: "C.UTF-8",
      TZ: "UTC",
      NO_COLOR: "1",
      ...env,
    },
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** Whether a program can be run and exits with 0. */
export function works(program: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(program, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

/** Whether Node of that version or later is installed. Without Node, Deno provides a `node` of its own. */
export function hasNode(version: number): boolean {
  const isNode = "typeof Deno === 'undefined' && parseInt(process.versions.node)";
  return works("node", "-e", `process.exit(${isNode} >= ${version} ? 0 : 1)`);
}

/** Counts how often each value occurs. */
export function tally(values: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

/** `case outcome` of all results, sorted, so that two reports of a run can be compared. */
export function lines(results: { case: string; outcome: string }[]): string[] {
  return results.map((one) => `${one.case} ${one.outcome}`).sort();
}
