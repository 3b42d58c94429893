import { HubError } from "../../errors.ts";
import type { AxisPatch, AxisShape } from "../../schemas/axis.ts";
import { type Author, recordAudit } from "../access/audit.ts";
import { Conditions } from "../core/conditions.ts";
import type { Db, Queryable } from "../core/queryable.ts";

interface AxisRow extends Omit<AxisShape, "listReadAt"> {
  listReadAt: Date | null;
}

/** Lists every axis by name, unpaged: there are few. */
export async function listAxes(sql: Queryable, name?: string): Promise<AxisShape[]> {
  const rows = await sql<AxisRow[]>`
    select axes.name as axis, axes.labels, axes.list_url as "listUrl", axes.list_read_at as "listReadAt",
      axes.list_error as "listError",
      (select json_build_object('number', changelists.number, 'label', changelists.label) from changelists
        where changelists.axis_id = axes.id order by changelists.number desc limit 1) as newest
    from axes where ${new Conditions(sql).equal("axes.name", name).all}
    order by axes.name`;
  return rows.map(({ listReadAt, ...row }) => ({ ...row, listReadAt: listReadAt?.toISOString() ?? null }));
}

/** @throws HubError NOT_FOUND */
export async function getAxis(sql: Queryable, name: string): Promise<AxisShape> {
  const [axis] = await listAxes(sql, name);
  if (axis === undefined) throw new HubError("NOT_FOUND", `There is no axis ${JSON.stringify(name)}.`);
  return axis;
}

/** Changes an axis, and creates it if it is unknown. */
export async function configureAxis(sql: Db, { axis, ...patch }: AxisPatch, by: Author): Promise<void> {
  await sql.begin(async (tx) => {
    await ensureAxis(tx, axis);
    const { labels: orderBefore, listUrl: urlBefore } = await getAxis(tx, axis);
    const { labels = orderBefore, listUrl = urlBefore } = patch;
    if (listUrl !== null && labels !== "list") {
      throw new HubError(
        "BAD_REQUEST",
        `The axis ${JSON.stringify(axis)} has a listUrl, so its labels must be "list" (now: ${labels}).`,
      );
    }
    await tx`
      update axes set labels = ${labels}, list_url = ${listUrl},
        list_hash = case when list_url is not distinct from ${listUrl} then list_hash end, list_error = null
      where name = ${axis}`;
    await recordAudit(tx, by, {
      action: "axis.update",
      object: `axis ${axis}`,
      before: { labels: orderBefore },
      after: { labels },
    });
  });
}

/** Returns the id of an axis, and creates it if it is unknown. */
export async function ensureAxis(tx: Queryable, name: string): Promise<number> {
  await tx`insert into axes (name) select ${name}
    where not exists (select from axes where name = ${name}) on conflict (name) do nothing`;
  const [row] = await tx<{ id: number }[]>`select id from axes where name = ${name}`;
  return row!.id;
}

/** Lists the axes whose changelists are read from a URL. */
export async function listAxisLists(
  sql: Queryable,
): Promise<{ axis: string; listUrl: string; hash: string | null }[]> {
  return [
    ...await sql<{ axis: string; listUrl: string; hash: string | null }[]>`
      select name as axis, list_url as "listUrl", encode(list_hash, 'hex') as hash
      from axes where list_url is not null order by name`,
  ];
}

/** Records the outcome of reading an axis's list: the hash of its content, or the error. */
export async function recordListReading(
  sql: Queryable,
  axis: string,
  outcome: { hash: string } | { error: string },
): Promise<void> {
  if ("error" in outcome) {
    await sql`update axes set list_error = ${outcome.error.slice(0, 2000)} where name = ${axis}`;
  } else {
    await sql`update axes set list_hash = decode(${outcome.hash}, 'hex'), list_read_at = now(), list_error = null
      where name = ${axis}`;
  }
}
