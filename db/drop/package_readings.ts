import type { Queryable } from "../core/queryable.ts";

/** Records the start of a reading of these packages under a root; keeps what is known about them. */
export async function beginReadings(tx: Queryable, rootId: number, packageIds: number[]): Promise<void> {
  await tx`
    insert into package_readings (root_id, package_id)
    select ${rootId}, package_id from unnest(${packageIds}::integer[]) as given (package_id)
    on conflict do nothing`;
}

/**
 * Records complete readings that started at `readAt`. `marks`: the source's change indicators, such as modification
 * times.
 */
export async function recordReadings(
  tx: Queryable,
  rootId: number,
  { packageIds, marks }: { packageIds: number[]; marks: (string | null)[] },
  readAt: Date,
): Promise<void> {
  await tx`
    insert into package_readings (root_id, package_id, mark, read_at, full_at)
    select ${rootId}, package_id, mark, ${readAt}, ${readAt}
    from unnest(${packageIds}::integer[], ${marks}::text[]) as given (package_id, mark)
    on conflict (root_id, package_id) do update set
      mark = excluded.mark, read_at = excluded.read_at, full_at = excluded.full_at,
      unread_reason = null, empty_readings = 0`;
}

/**
 * Records that these packages are unchanged according to their marks, which updates the last-seen time of all their
 * builds.
 */
export async function recordUnchanged(
  tx: Queryable,
  rootId: number,
  packageIds: number[],
  readAt: Date,
): Promise<void> {
  await tx`
    update package_readings set read_at = ${readAt}, unread_reason = null, empty_readings = 0
    where root_id = ${rootId} and package_id = any(${packageIds}::integer[])`;
}

/** Records packages that could not be read completely, with the reasons; their builds stay as they are. */
export async function recordUnread(
  tx: Queryable,
  rootId: number,
  { packageIds, reasons }: { packageIds: number[]; reasons: string[] },
): Promise<void> {
  await tx`
    insert into package_readings (root_id, package_id, unread_reason)
    select ${rootId}, package_id, reason
    from unnest(${packageIds}::integer[], ${reasons}::text[]) as given (package_id, reason)
    on conflict (root_id, package_id) do update set
      unread_reason = excluded.unread_reason, mark = null, empty_readings = 0`;
}

/**
 * Records packages with known builds whose listing was empty or missing. If `counts`, it adds one to the number of
 * consecutive times. Returns the ids for which the number has reached `believedAfter`.
 */
export async function recordEmpty(
  tx: Queryable,
  rootId: number,
  { packageIds, reasons, counts, believedAfter }: {
    packageIds: number[];
    reasons: string[];
    counts: boolean;
    believedAfter: number;
  },
): Promise<number[]> {
  const rows = await tx<{ id: number; times: number }[]>`
    update package_readings set
      unread_reason = given.reason, mark = null, empty_readings = least(empty_readings + ${
    counts ? 1 : 0
  }, 1000)
    from unnest(${packageIds}::integer[], ${reasons}::text[]) as given (id, reason)
    where root_id = ${rootId} and package_id = given.id
    returning given.id, empty_readings as times`;
  return counts ? rows.filter((row) => row.times >= believedAfter).map((row) => row.id) : [];
}

/** Returns the packages that have an available build under the root. */
export async function filterFull(sql: Queryable, rootId: number, packageIds: number[]): Promise<Set<number>> {
  const rows = await sql<{ id: number }[]>`
    select given.id from unnest(${packageIds}::integer[]) as given (id)
    where exists (
      select from builds where root_id = ${rootId} and package_id = given.id and gone_at is null
    )`;
  return new Set(rows.map((row) => row.id));
}
