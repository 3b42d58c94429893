import { readCatalogue } from "./catalogue.ts";
import { LocalEngine } from "./engine.ts";
import { JobStore, type LabJob } from "./store.ts";

/**
 * The embedded lab: a small lab that implements the contract of docs/reference/lab-contract.md. Arguments:
 * --listen host:port --data dir --drop dir --token-file file [--catalogue file] [--engine local] [--parallel 2]
 */
const options = new Map<string, string>();
for (let at = 0; at < Deno.args.length; at += 2) options.set(Deno.args[at]!, Deno.args[at + 1] ?? "");

function option(name: string, otherwise?: string): string {
  const value = options.get(`--${name}`) ?? otherwise;
  if (value === undefined) {
    console.error(`the lab requires --${name}`);
    Deno.exit(2);
  }
  return value;
}

const engineName = option("engine", "local");
if (engineName !== "local") {
  console.error(`--engine must be local, got ${engineName}`);
  Deno.exit(2);
}
const [host, port] = option("listen").split(":") as [string, string];
const dataDir = option("data");
const labDir = import.meta.dirname!;
const token = (await Deno.readTextFile(option("token-file"))).trim();
const catalogue = readCatalogue(await Deno.readTextFile(option("catalogue", `${labDir}/catalogue.json`)));
/** Kept open as long as the lab runs. */
const _lock = await lockFolder();
// Leftovers of jobs that ran when an earlier lab ended.
await Deno.remove(`${dataDir}/scratch`, { recursive: true }).catch(() => {});
await Deno.mkdir(`${dataDir}/scratch`);
const store = await JobStore.open(`${dataDir}/jobs.ndjson`);
const engine = new LocalEngine({
  store,
  catalogue,
  dataDir,
  dropDir: option("drop"),
  labDir,
  deno: Deno.execPath(),
  parallel: Number(option("parallel", "2")),
});

const MAX_BODY = 64 << 10;
const hosts = new Set([`${host}:${port}`, `localhost:${port}`]);

function json(value: unknown, status = 200): Response {
  return Response.json(value, { status });
}

function refuse(status: number, error: string): Response {
  return json({ error }, status);
}

/** Ensures one lab per journal. The kernel releases the lock when this process ends. */
async function lockFolder(): Promise<Deno.FsFile> {
  const file = await Deno.open(`${dataDir}/lab.lock`, { create: true, read: true, write: true, mode: 0o600 });
  if (!await file.tryLock(true)) {
    console.error(
      `another lab runs on ${dataDir}: ${(await Deno.readTextFile(`${dataDir}/lab.lock`)).trim()}`,
    );
    Deno.exit(1);
  }
  await file.truncate();
  await file.write(
    new TextEncoder().encode(JSON.stringify({ pid: Deno.pid, listen: option("listen") }) + "\n"),
  );
  return file;
}

function shown({ change: _change, ...job }: LabJob): Omit<LabJob, "change"> {
  return job;
}

async function answer(request: Request): Promise<Response> {
  if (!hosts.has(request.headers.get("host") ?? "")) {
    return refuse(421, "the Host header must be the lab's own address");
  }
  const url = new URL(request.url);
  const [, noun, serial, sub, name, ...rest] = url.pathname.split("/");
  if (request.method !== "GET" && request.headers.get("authorization") !== `Bearer ${token}`) {
    return refuse(401, "writes require the lab's token");
  }
  if (url.pathname === "/health") return json({ status: "ok" });
  if (noun !== "jobs" || rest.length > 0) return refuse(404, "no such path; try /jobs");
  if (serial === undefined) return request.method === "POST" ? await submit(request) : list(url.searchParams);
  const job = /^\d+$/.test(serial) ? store.find(Number(serial)) : undefined;
  if (job === undefined) return refuse(404, `no such job: ${serial.slice(0, 20)}`);
  if (sub === undefined) {
    if (request.method === "DELETE") engine.cancel(job.serial);
    return json(shown(store.find(job.serial)!));
  }
  const artifact = job.artifacts.find((one) => one.name === decodeURIComponent(name ?? ""));
  if (sub !== "artifacts" || artifact === undefined) return refuse(404, "no such artifact");
  const file = await Deno.open(`${dataDir}/artifacts/${job.serial}/${artifact.name}`);
  return new Response(file.readable, {
    headers: { "content-type": "application/octet-stream", "content-length": String(artifact.size) },
  });
}

function list(query: URLSearchParams): Response {
  const limit = Math.min(1000, Math.max(1, Number(query.get("limit") ?? 100) || 100));
  const cursor = query.get("updatedAfter") ?? "0";
  if (!/^\d{1,15}$/.test(cursor)) return refuse(400, "updatedAfter is not a cursor of this lab");
  const filters = Object.fromEntries(
    [["test", query.get("test")], ["note", query.get("note")]].filter(([, value]) => value !== null),
  );
  const jobs = store.list({ ...filters, after: Number(cursor), limit });
  return json({ jobs: jobs.map(shown), nextCursor: String(jobs.at(-1)?.change ?? cursor) });
}

async function submit(request: Request): Promise<Response> {
  const text = await request.text();
  if (text.length > MAX_BODY) {
    return refuse(413, `a submission must be at most ${MAX_BODY} bytes, got ${text.length}`);
  }
  let body: Record<string, unknown>;
  try {
    body = JSON.parse(text);
  } catch {
    return refuse(400, "the submission is not JSON");
  }
  const field = (key: string) =>
    typeof body[key] === "string" && body[key] !== "" ? body[key] as string : null;
  const [test, os, packageUrl, machine] = [field("test"), field("os"), field("packageUrl"), field("machine")];
  const pool = machine === null ? field("pool") : null;
  if (test === null || !Object.hasOwn(catalogue.tests, test)) {
    return refuse(
      400,
      `the lab has no test ${JSON.stringify(test)}; its tests are ${Object.keys(catalogue.tests).join(", ")}`,
    );
  }
  if (packageUrl === null || !URL.canParse(packageUrl)) return refuse(400, "packageUrl is not a URL");
  const fits = catalogue.machines.filter((one) =>
    one.os === os && (machine === null ? one.pool === pool : one.name === machine)
  );
  if (fits.length === 0) {
    return refuse(
      400,
      `no machine of the lab has os ${JSON.stringify(os)} and ${
        machine === null ? `pool ${JSON.stringify(pool)}` : `name ${JSON.stringify(machine)}`
      }`,
    );
  }
  const job = store.add({
    test,
    os: os!,
    machine,
    pool,
    packageUrl,
    note: field("note") ?? "",
    submittedBy: field("submittedBy") ?? "unknown",
  });
  engine.pump();
  return json({ serials: [job.serial] }, 201);
}

function listen(): Deno.HttpServer {
  try {
    return Deno.serve({
      hostname: host,
      port: Number(port),
      onListen: () => console.log(`the lab listens on ${host}:${port}`),
    }, async (request) => {
      try {
        return await answer(request);
      } catch (error) {
        return refuse(error instanceof URIError ? 400 : 500, (error as Error).message);
      }
    });
  } catch (error) {
    console.error(`the lab cannot listen on ${host}:${port}: ${(error as Error).message}`);
    Deno.exit(1);
  }
}

const server = listen();
engine.pump();
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.addSignalListener(signal, async () => {
    engine.stop();
    await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, 2000))]);
    Deno.exit(0);
  });
}
