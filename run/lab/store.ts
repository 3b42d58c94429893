/** A job of the lab. */
export interface LabJob {
  serial: number;
  test: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled" | "lost";
  os: string;
  machine: string | null;
  pool: string | null;
  packageUrl: string;
  note: string;
  submittedBy: string;
  submittedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  updatedAt: string;
  artifacts: { name: string; size: number }[];
  /** Why the job is in this state, for display. */
  reason: string | null;
  /** Number of the job's last change, increasing across all jobs; the cursor of `updatedAfter`. */
  change: number;
}

/** The lab's jobs, in memory and in a journal that is synced to disk before a change is acknowledged. */
export class JobStore {
  readonly #jobs = new Map<number, LabJob>();
  readonly #file: Deno.FsFile;
  #lastSerial = 1000;
  #lastChange = 0;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** Opens the journal. Marks jobs that were running when the lab ended as lost. */
  static async open(path: string): Promise<JobStore> {
    const text = await Deno.readTextFile(path).catch(() => "");
    const jobs = new Map<number, LabJob>();
    for (const line of text.split("\n")) {
      try {
        const job = JSON.parse(line) as LabJob;
        jobs.set(job.serial, job);
      } catch {
        // The last line may be incomplete, and was then never acknowledged.
      }
    }
    const lines = [...jobs.values()].map((job) => JSON.stringify(job) + "\n");
    await Deno.writeTextFile(`${path}.new`, lines.join(""));
    await Deno.rename(`${path}.new`, path);
    const store = new JobStore(await Deno.open(path, { append: true }));
    for (const job of jobs.values()) {
      store.#jobs.set(job.serial, job);
      store.#lastSerial = Math.max(store.#lastSerial, job.serial);
      store.#lastChange = Math.max(store.#lastChange, job.change);
    }
    for (const job of jobs.values()) {
      if (job.state === "running") {
        store.change(job.serial, {
          state: "lost",
          finishedAt: now(),
          reason: "the lab was restarted while it ran",
        });
      }
    }
    return store;
  }

  add(
    submission: Pick<LabJob, "test" | "os" | "machine" | "pool" | "packageUrl" | "note" | "submittedBy">,
  ): LabJob {
    const at = now();
    const job: LabJob = {
      serial: ++this.#lastSerial,
      ...submission,
      state: "queued",
      submittedAt: at,
      startedAt: null,
      finishedAt: null,
      updatedAt: at,
      artifacts: [],
      reason: null,
      change: ++this.#lastChange,
    };
    this.#write(job);
    return job;
  }

  change(serial: number, fields: Partial<LabJob>): LabJob {
    const job: LabJob = {
      ...this.#jobs.get(serial)!,
      ...fields,
      updatedAt: now(),
      change: ++this.#lastChange,
    };
    this.#write(job);
    return job;
  }

  find(serial: number): LabJob | undefined {
    return this.#jobs.get(serial);
  }

  queued(): LabJob[] {
    return [...this.#jobs.values()].filter((job) => job.state === "queued").sort((a, b) =>
      a.serial - b.serial
    );
  }

  /** Jobs changed after `after`, oldest change first. */
  list(
    { test, note, after, limit }: { test?: string; note?: string; after: number; limit: number },
  ): LabJob[] {
    return [...this.#jobs.values()]
      .filter((job) =>
        job.change > after && (test === undefined || job.test === test) &&
        (note === undefined || job.note.includes(note))
      )
      .sort((a, b) => a.change - b.change).slice(0, limit);
  }

  #write(job: LabJob): void {
    const bytes = new TextEncoder().encode(JSON.stringify(job) + "\n");
    let at = 0;
    while (at < bytes.length) at += this.#file.writeSync(bytes.subarray(at));
    this.#file.syncDataSync();
    this.#jobs.set(job.serial, job);
  }
}

function now(): string {
  return new Date().toISOString();
}
