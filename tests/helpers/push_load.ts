import type { Queryable } from "../../db/core/queryable.ts";

/** Sends a push. Returns undefined if there was no response. */
export type SendPush = (headers: Record<string, string>, body: string) => Promise<Response | undefined>;

/**
 * A continuous load of pushes. Each push has its own Idempotency-Key and is retried until it is acknowledged. Every member
 * throws once there was a response that a correct client must never get.
 */
export interface PushLoad {
  /** External ids of the pushes acknowledged so far. */
  readonly taken: ReadonlySet<string>;
  /** Number of attempts answered with a 503 or 507, or not at all. */
  readonly failed: number;
  /** Stops the load and waits until pushes in progress are acknowledged. */
  end(): Promise<void>;
}

export interface StoredRun {
  externalId: string;
  /** Number of its stored results. */
  results: number;
}

/** Number of results per push. */
const RESULTS = 3;
const PAUSE_MS = 50;
/** After this time past the end, an acknowledgement will never come, even on a busy machine. */
const HANG_MS = 60_000;

export function startPushing(
  send: SendPush,
  { name, pushers = 4 }: { name: string; pushers?: number },
): PushLoad {
  const taken = new Set<string>();
  let failed = 0;
  let overAt = Infinity;

  async function isTaken(id: string): Promise<boolean> {
    const headers = { "content-type": "application/json", "idempotency-key": id };
    const results = Array.from({ length: RESULTS }, (_, at) => ({ case: `case ${at}`, outcome: "passed" }));
    const push = { test: "trial", changelist: 1, externalId: id, mode: "append", results };
    const answer = await send(headers, JSON.stringify(push));
    if (answer === undefined) {
      failed++;
      return false;
    }
    const text = await answer.text().catch(() => "");
    if (answer.ok) return true;
    failed++;
    const isWait = answer.status === 503 || answer.status === 507;
    if (isWait && Number(answer.headers.get("retry-after")) > 0) return false;
    throw new Error(`the push ${id} was answered by a ${answer.status}: ${text}`);
  }

  async function pushOn(pusher: number): Promise<void> {
    for (let at = 0; overAt === Infinity; at++) {
      const id = `${name}-${pusher}-${at}`;
      while (!await isTaken(id)) {
        if (performance.now() > overAt + HANG_MS) throw new Error(`the push ${id} was never acknowledged`);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
      taken.add(id);
    }
  }

  let fault: unknown;
  const all = Promise.all(Array.from({ length: pushers }, (_, pusher) => pushOn(pusher)))
    .catch((error) => fault = error);
  const check = () => {
    if (fault !== undefined) throw fault;
  };
  return {
    get taken() {
      check();
      return taken;
    },
    get failed() {
      check();
      return failed;
    },
    async end() {
      overAt = Math.min(overAt, performance.now());
      await all;
      check();
    },
  };
}

/** The stored runs of loads whose names begin with `name`. */
export async function storedRuns(sql: Queryable, name: string): Promise<StoredRun[]> {
  return await sql<StoredRun[]>`
    select external_id as "externalId", (select count(*)::int from results where run_id = runs.id) as results
    from runs where starts_with(external_id, ${name})`;
}

/** Acknowledged pushes that are not stored completely, and pushes that are stored more than once. */
export function compare(
  taken: Iterable<string>,
  stored: readonly StoredRun[],
): { lost: number; doubled: number } {
  const byId = Map.groupBy(stored, ({ externalId }) => externalId);
  const lost = [...taken].filter((id) => byId.get(id)?.[0]?.results !== RESULTS).length;
  return { lost, doubled: [...byId.values()].filter((runs) => runs.length > 1).length };
}
