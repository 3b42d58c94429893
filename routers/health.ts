import { z } from "zod";
import type { Db } from "../db/core/queryable.ts";
import { type DatabaseState, getDatabaseState } from "../db/core/migrate.ts";
import { findSpoolFault } from "../db/core/spool_file.ts";
import type { Context } from "./context.ts";
import { withTimeout } from "./deadline.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

const TIME_LIMIT_MS = 2000;
const check = z.object({
  name: z.enum(["database", "migrations", "queue", "spool"]),
  state: z.enum(["ok", "bad"]),
  detail: z.string(),
});

export const healthRouter = router({
  live: procedure
    .meta({
      method: "GET",
      path: "/api/health/live",
      summary: "Check that the process answers",
      role: "anyone",
      isOpen: true,
      cost: 0,
    })
    .input(z.object({}))
    .output(outputSchema(z.object({ status: z.literal("ok") })))
    .query(() => ({ status: "ok" as const })),

  ready: procedure
    .meta({
      method: "GET",
      path: "/api/health/ready",
      summary: "Check that the hub can work: database, migrations, queue, spool",
      role: "anyone",
      isOpen: true,
      cost: 0,
      statuses: [200, 503],
    })
    .input(z.object({}))
    .output(outputSchema(z.object({ status: z.enum(["ok", "bad"]), checks: z.array(check) })))
    .query(async ({ ctx }) => {
      const checks = await checkAll(ctx);
      const isReady = checks.every(({ state }) => state === "ok");
      ctx.reply.status = isReady ? 200 : 503;
      return { status: isReady ? "ok" as const : "bad" as const, checks };
    }),
});

async function checkAll(ctx: Context): Promise<z.infer<typeof check>[]> {
  const state = await withTimeout(askOnce(ctx.sql), TIME_LIMIT_MS, () => new Error("late")).catch(() =>
    undefined
  );
  const isThere = state !== undefined;
  const canWrite = isThere && !state.isReadOnly;
  const isCurrent = isThere && state.pending.length === 0;
  const isRunning = ctx.queue.isRunning();
  const spool = findSpoolFault(ctx.config.spoolDir);
  return [
    {
      name: "database",
      state: canWrite ? "ok" : "bad",
      detail: canWrite ? "answers" : isThere ? "is read-only" : "does not answer",
    },
    {
      name: "migrations",
      state: isCurrent ? "ok" : "bad",
      detail: !isThere ? "unknown" : isCurrent ? "up to date" : `not applied: ${state.pending.join(", ")}`,
    },
    {
      name: "queue",
      state: isRunning && canWrite ? "ok" : "bad",
      detail: isRunning ? canWrite ? "runs" : "waits for the database" : "is stopping",
    },
    { name: "spool", state: spool === undefined ? "ok" : "bad", detail: spool?.message ?? "is writable" },
  ];
}

const running = new WeakMap<Db, Promise<DatabaseState>>();

/** Shares one query between concurrent probes, so that they do not pile up on a database that hangs. */
function askOnce(sql: Db): Promise<DatabaseState> {
  const present = running.get(sql);
  if (present !== undefined) return present;
  const query = getDatabaseState(sql).finally(() => running.delete(sql));
  running.set(sql, query);
  return query;
}
