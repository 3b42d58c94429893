import type { Catalogue } from "./catalogue.ts";
import { openProcessGroups } from "../process_group.ts";
import type { JobStore, LabJob } from "./store.ts";
import { readTgz } from "./unpack.ts";

export interface EngineOptions {
  store: JobStore;
  catalogue: Catalogue;
  /** Absolute folders. */
  dataDir: string;
  dropDir: string;
  labDir: string;
  deno: string;
  parallel: number;
}

const MAX_PACKED = 256 << 20;
const MAX_UNPACKED = 512 << 20;
const MAX_OUTPUT = 1 << 20;
const MAX_ARTIFACT = 64 << 20;

/** Runs jobs on this machine, at most `parallel` at a time. */
export class LocalEngine {
  readonly #options: EngineOptions;
  /** Process groups of running jobs. A detached child leads a group, so that its descendants can be ended with it. */
  readonly #groups = new Set<number>();
  readonly #processes = openProcessGroups();
  #isStopped = false;
  readonly #busy = new Map<number, { machine: string; stop: AbortController }>();

  constructor(options: EngineOptions) {
    this.#options = options;
  }

  /** Ends running jobs and starts no more. The journal keeps them as running, so the next lab reports them as lost. */
  stop(): void {
    this.#isStopped = true;
    for (const group of this.#groups) this.#processes.end(group, "SIGKILL");
  }

  /** Starts queued jobs for which a machine is free. */
  pump(): void {
    const { store, parallel } = this.#options;
    if (this.#isStopped) return;
    for (const job of store.queued()) {
      if (this.#busy.size >= parallel) return;
      const machine = this.#machineFor(job);
      if (machine === undefined) continue;
      const stop = new AbortController();
      this.#busy.set(job.serial, { machine: machine.name, stop });
      const running = store.change(job.serial, {
        state: "running",
        machine: machine.name,
        startedAt: new Date().toISOString(),
      });
      this.#run(running, machine.loses === true, stop.signal).catch((error) =>
        this.#end(job.serial, "failed", (error as Error).message)
      ).finally(() => {
        this.#busy.delete(job.serial);
        this.pump();
      });
    }
  }

  /** Cancels a job; no effect if it is finished. */
  cancel(serial: number): void {
    const job = this.#options.store.find(serial);
    if (job?.state === "queued" || job?.state === "running") {
      this.#end(serial, "cancelled", "cancelled by request");
    }
    this.#busy.get(serial)?.stop.abort();
  }

  #machineFor(job: LabJob): Catalogue["machines"][number] | undefined {
    const taken = new Set([...this.#busy.values()].map((one) => one.machine));
    return this.#options.catalogue.machines.find(({ name, pool, os }) =>
      !taken.has(name) && os === job.os && (job.machine === null ? pool === job.pool : name === job.machine)
    );
  }

  #end(
    serial: number,
    state: LabJob["state"],
    reason: string | null,
    artifacts: LabJob["artifacts"] = [],
  ): void {
    const now = this.#options.store.find(serial)?.state;
    if (this.#isStopped) return;
    if (now !== "queued" && now !== "running") return;
    this.#options.store.change(serial, { state, reason, artifacts, finishedAt: new Date().toISOString() });
  }

  async #run(job: LabJob, isLost: boolean, signal: AbortSignal): Promise<void> {
    if (isLost) return this.#end(job.serial, "lost", "the machine was lost");
    const { catalogue, dataDir } = this.#options;
    const test = catalogue.tests[job.test]!;
    const scratch = `${dataDir}/scratch/${job.serial}`;
    const kept = `${dataDir}/artifacts/${job.serial}`;
    await Deno.mkdir(scratch, { recursive: true });
    await Deno.mkdir(kept, { recursive: true });
    try {
      await this.#unpack(job.packageUrl, `${scratch}/build`);
      const { output, reason, isOk } = await this.#execute(job, scratch, signal);
      await Deno.writeFile(`${kept}/output.txt`, output);
      const artifacts = [{ name: "output.txt", size: output.byteLength }];
      for (const name of test.results) {
        const info = await Deno.lstat(`${scratch}/${name}`).catch(() => undefined);
        if (info?.isFile !== true || info.size > MAX_ARTIFACT) continue;
        await Deno.copyFile(`${scratch}/${name}`, `${kept}/${name}`);
        artifacts.push({ name, size: info.size });
      }
      this.#end(job.serial, isOk ? "done" : "failed", reason, artifacts);
    } finally {
      await Deno.remove(scratch, { recursive: true }).catch(() => {});
    }
  }

  async #unpack(packageUrl: string, folder: string): Promise<void> {
    const url = new URL(packageUrl);
    if (url.protocol !== "file:") {
      throw new Error(`the embedded lab reads builds from file: URLs only, not ${url.protocol}`);
    }
    const real = await Deno.realPath(decodeURIComponent(url.pathname));
    const drop = await Deno.realPath(this.#options.dropDir);
    if (!real.startsWith(`${drop}/`)) {
      throw new Error(`the build ${packageUrl} is not in the drop ${drop}`);
    }
    if (!/\.(?:tgz|tar\.gz)$/.test(real)) {
      throw new Error("the embedded lab supports only .tgz and .tar.gz builds");
    }
    if ((await Deno.stat(real)).size > MAX_PACKED) {
      throw new Error(`the build is larger than ${MAX_PACKED} bytes`);
    }
    for (const { path, content } of await readTgz(await Deno.readFile(real), MAX_UNPACKED)) {
      const target = `${folder}/${path}`;
      await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
      await Deno.writeFile(target, content);
    }
  }

  async #execute(
    job: LabJob,
    scratch: string,
    signal: AbortSignal,
  ): Promise<{ output: Uint8Array; reason: string | null; isOk: boolean }> {
    const { catalogue, labDir, deno } = this.#options;
    const test = catalogue.tests[job.test]!;
    const [program, ...args] = test.command.map((word) => word.replaceAll("{lab}", labDir));
    const child = new Deno.Command(program === "deno" ? deno : program!, {
      args: args.map((arg) => arg === "--allow-read=." ? `--allow-read=.,${labDir}` : arg),
      cwd: scratch,
      clearEnv: true,
      env: { LAB_SERIAL: String(job.serial), HOME: scratch, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.#groups.add(child.pid);
    if (this.#isStopped) this.#processes.end(child.pid, "SIGKILL");
    let reason: string | null = null;
    const stop = (why: string) => {
      reason ??= why;
      this.#processes.end(child.pid, "SIGTERM");
      setTimeout(() => this.#processes.end(child.pid, "SIGKILL"), 1000);
    };
    const timer = setTimeout(() => stop(`it took longer than ${test.timeLimitMs} ms`), test.timeLimitMs);
    signal.addEventListener("abort", () => stop("it was cancelled"), { once: true });
    const chunks: Uint8Array[] = [];
    let size = 0;
    const read = async (stream: ReadableStream<Uint8Array>) => {
      for await (const chunk of stream) {
        if (size < MAX_OUTPUT) chunks.push(chunk.subarray(0, MAX_OUTPUT - size));
        size += chunk.byteLength;
        if (size > 64 * MAX_OUTPUT) stop("it wrote too much output");
      }
    };
    const readers = Promise.allSettled([read(child.stdout), read(child.stderr)]);
    const status = await child.status;
    clearTimeout(timer);
    this.#processes.end(child.pid, "SIGKILL");
    this.#groups.delete(child.pid);
    await Promise.race([readers, new Promise((resolve) => setTimeout(resolve, 1000))]);
    const output = new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
    return {
      output,
      reason: reason ?? (status.success ? null : `it exited with ${status.signal ?? status.code}`),
      isOk: status.success && reason === null,
    };
  }
}
