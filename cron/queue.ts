import type { Queryable } from "../db/core/queryable.ts";

/** The input of every kind of task, by name. */
export interface TaskData {
  scan_drop: { full: boolean; cause: "schedule" | "request" | "missed" };
  scrape: { testId: number; cause: "schedule" | "request" };
  submit_job: { jobId: number };
  look_up_job: { jobId: number };
  cancel_job: { jobId: number };
  follow_lab: Record<string, never>;
  read_lists: Record<string, never>;
  sweep_results: Record<string, never>;
}
export type TaskName = keyof TaskData;
export const TASK_NAMES = [
  "scan_drop",
  "scrape",
  "submit_job",
  "look_up_job",
  "cancel_job",
  "follow_lab",
  "read_lists",
  "sweep_results",
] as const satisfies readonly TaskName[];

export interface SendOptions {
  /** While a task of the same name and key waits, no second one is added. */
  singletonKey?: string;
  /** Enqueues in this transaction. */
  tx?: Queryable;
  /** Earliest start, in seconds from now. */
  delayS?: number;
}

export interface Queue {
  /** Enqueues a task. Returns false if a task with the same singleton key already waits. */
  send<N extends TaskName>(name: N, data: TaskData[N], options?: SendOptions): Promise<boolean>;
  /** Enqueues many tasks in one statement. Returns how many were added: those whose key was not already waiting. */
  sendAll<N extends TaskName>(
    name: N,
    tasks: { data: TaskData[N]; singletonKey: string }[],
    options?: Pick<SendOptions, "tx">,
  ): Promise<number>;
  work<N extends TaskName>(
    name: N,
    concurrency: number,
    run: (data: TaskData[N], signal: AbortSignal) => Promise<void>,
  ): Promise<void>;
  /** Whether the queue was started and is not stopping. */
  isRunning(): boolean;
  /** Accepts no new work, waits for running tasks, and returns the remaining ones to the queue. */
  stop(timeoutMs: number): Promise<void>;
}
