import { fromBunSql, PgBoss } from "pg-boss";
import type { Db } from "../db/core/queryable.ts";
import { createScriptClient, lockQueueSetup } from "../db/work/queue.ts";
import { type Queue, TASK_NAMES, type TaskData, type TaskName } from "./queue.ts";

const QUEUE_SCHEMA = "queue";

/** Maximum duration of a task, in seconds. The task of a dead worker ends after it. */
const LIMITS_S: Record<TaskName, number> = {
  scan_drop: 6 * 3600,
  scrape: 3600,
  submit_job: 3700,
  look_up_job: 120,
  cancel_job: 120,
  read_lists: 900,
  sweep_results: 12 * 3600,
  follow_lab: 300,
};

export interface BossOptions {
  onError(error: unknown): void;
}

/**
 * Starts pg-boss on the hub's own pool. The queue never retries a task: the tables state what is due, and a job must
 * never be submitted twice. At most one task per name and key waits.
 */
export async function startQueue(sql: Db, options: BossOptions): Promise<Queue> {
  const boss = new PgBoss({
    db: fromBunSql(createScriptClient(sql) as never),
    schema: QUEUE_SCHEMA,
    schedule: false,
    useListenNotify: true,
    registerInstance: false,
    openTelemetry: { enabled: false },
  });
  boss.on("error", options.onError);
  // pg-boss fails if another process creates its tables at the same time, and leaves the connection in a failed
  // transaction.
  await lockQueueSetup(sql, async () => {
    await boss.start();
    await makeQueues(boss);
  });
  const stopping = new AbortController();
  let running = true;
  return {
    async send(name, data, { singletonKey, tx, delayS } = {}) {
      const id = await boss.send(name, data, {
        singletonKey: singletonKey ?? crypto.randomUUID(),
        ...(delayS === undefined ? {} : { startAfter: delayS }),
        ...(tx === undefined ? {} : { db: fromBunSql(tx as never) }),
      });
      return id !== null;
    },
    async sendAll(name, tasks, { tx } = {}) {
      if (tasks.length === 0) return 0;
      const ids = await boss.insert(name, tasks, {
        returnId: true,
        ...(tx === undefined ? {} : { db: fromBunSql(tx as never) }),
      });
      return ids?.length ?? 0;
    },
    async work<N extends TaskName>(
      name: N,
      concurrency: number,
      run: (data: TaskData[N], signal: AbortSignal) => Promise<void>,
    ) {
      await boss.work<TaskData[N]>(
        name,
        {
          localConcurrency: concurrency,
          batchSize: 1,
          pollingIntervalSeconds: 1,
          notifyPollingIntervalSeconds: 1,
        },
        async ([job]) => {
          if (job === undefined) return;
          await run(job.data, AbortSignal.any([job.signal, stopping.signal]));
        },
      );
    },
    isRunning: () => running,
    async stop(timeoutMs) {
      running = false;
      stopping.abort(new Error("the hub is stopping"));
      await boss.stop({ graceful: true, timeout: timeoutMs, close: false });
    },
  };
}

async function makeQueues(boss: PgBoss): Promise<void> {
  const known = new Set((await boss.getQueues([...TASK_NAMES])).map((queue) => queue.name));
  for (const name of TASK_NAMES) {
    const settings = {
      retryLimit: 0,
      expireInSeconds: LIMITS_S[name],
      retentionSeconds: 86_400,
      deleteAfterSeconds: 86_400,
      notify: true,
    };
    if (!known.has(name)) await boss.createQueue(name, { policy: "short", ...settings });
  }
}
