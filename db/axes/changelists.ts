import { HubError } from "../../errors.ts";
import type { Labelled, LabelledAnswer, LabelledList } from "../../schemas/axis.ts";
import { MAX_CHANGELIST, type Page } from "../../schemas/common.ts";
import { ensureAxis } from "./axes.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";
import { LOCKS } from "../core/locks.ts";

/** Minimum length of a label prefix. */
const SHORTEST = 4;
/** Sorts after every character of UTF-8. */
const LAST = "\u{10FFFF}";

/** A label to be numbered, with the time of its commit if known. */
export interface LabelToPlace {
  axis: string;
  label: string;
  committedAt?: string | undefined;
}

/** Map key of a label and its axis. */
export function labelKey(axis: string, label: string): string {
  return `${axis} ${label}`;
}

/**
 * Returns the number of a label, or of the only label with that prefix.
 * @throws HubError NOT_FOUND, BAD_REQUEST if several labels have the prefix
 */
export async function getNumber(sql: Queryable, axis: string, label: string): Promise<number> {
  const rows = await findLabels(sql, axis, label);
  const exact = rows.find((row) => row.label === label);
  if (exact !== undefined) return exact.number;
  if (rows.length > 1) {
    throw new HubError(
      "BAD_REQUEST",
      `The label ${JSON.stringify(label)} is a prefix of several labels of the axis ${
        JSON.stringify(axis)
      }: ${rows.map((row) => row.label).join(", ")}… Pass more characters.`,
    );
  }
  if (rows.length === 1) return rows[0]!.number;
  throw new HubError(
    "NOT_FOUND",
    `No changelist of the axis ${JSON.stringify(axis)} has the label ${JSON.stringify(label)}.`,
  );
}

/** Finds the label itself, and up to two labels with that prefix. */
async function findLabels(sql: Queryable, axis: string, label: string): Promise<Labelled[]> {
  const rows = await sql<Labelled[]>`
    select changelists.number, changelists.label
    from axes join changelists on changelists.axis_id = axes.id
    where axes.name = ${axis} and changelists.label collate "C" >= ${label}
      and changelists.label collate "C" < ${label.length < SHORTEST ? `${label}\u0001` : label + LAST}
    order by changelists.label collate "C" limit 2`;
  return label.length < SHORTEST ? rows.filter((row) => row.label === label) : [...rows];
}

/**
 * Returns the numbers of labels by `labelKey`, or a text that states why a label has none. On an axis ordered by time, a
 * new label gets the Unix time of its commit in seconds, or the next free number. A dry run stores nothing.
 */
export async function placeLabels(
  sql: Db,
  asked: LabelToPlace[],
  { isDry = false }: { isDry?: boolean } = {},
): Promise<Map<string, number | string>> {
  const placed = new Map<string, number | string>();
  for (const axis of new Set(asked.map((one) => one.axis))) {
    const labels = [
      ...new Map(asked.filter((one) => one.axis === axis).map((one) => [one.label, one])).values(),
    ];
    for (const [label, number] of await placeOnAxis(sql, axis, { asked: labels, isDry })) {
      placed.set(labelKey(axis, label), number);
    }
  }
  return placed;
}

async function placeOnAxis(
  sql: Db,
  axis: string,
  { asked, isDry }: { asked: LabelToPlace[]; isDry: boolean },
): Promise<Map<string, number | string>> {
  const numbers = new Map<string, number | string>(
    await findNumbers(sql, axis, asked.map((one) => one.label)),
  );
  const unknown = asked.filter((one) => !numbers.has(one.label));
  if (unknown.length === 0) return numbers;
  const [row] = await sql<{ labels: string | null }[]>`select labels from axes where name = ${axis}`;
  const order = row?.labels ?? null;
  const timed = order !== "time" ? [] : unknown.filter((one) => secondsOf(one.committedAt) !== undefined);
  const added = timed.length === 0
    ? []
    : isDry
    ? timed.map((one) => [one.label, secondsOf(one.committedAt)!] as const)
    : await addByTime(sql, axis, timed);
  for (const [label, number] of added) numbers.set(label, number);
  for (const { label } of unknown) {
    if (numbers.has(label)) continue;
    numbers.set(
      label,
      order === null
        ? `the axis ${
          JSON.stringify(axis)
        } accepts no labels; configure their numbering with PATCH /api/axes/${axis}`
        : order === "list"
        ? `the label is not in the list of the axis ${JSON.stringify(axis)}`
        : "the label is new, and the time of its commit is unknown",
    );
  }
  return numbers;
}

async function findNumbers(sql: Queryable, axis: string, labels: string[]): Promise<[string, number][]> {
  const rows = await sql<Labelled[]>`
    select changelists.label, changelists.number
    from axes join changelists on changelists.axis_id = axes.id and changelists.label = any(${labels})
    where axes.name = ${axis}`;
  return rows.map((row) => [row.label, row.number]);
}

function secondsOf(time: string | undefined): number | undefined {
  const seconds = Math.floor(Date.parse(time ?? "") / 1000);
  return seconds > 0 && seconds < MAX_CHANGELIST ? seconds : undefined;
}

async function addByTime(sql: Db, axis: string, asked: LabelToPlace[]): Promise<[string, number][]> {
  const wanted = asked.map((one) => ({ label: one.label, number: secondsOf(one.committedAt)! }))
    .sort((a, b) => a.number - b.number || (a.label < b.label ? -1 : 1));
  return await sql.begin(async (tx) => {
    const axisId = await ensureAxis(tx, axis);
    // Serialises numbering per axis, so that two labels never get the same number.
    await tx`select pg_advisory_xact_lock(${LOCKS.changelists}, ${axisId})`;
    const known = new Map(await findNumbers(tx, axis, wanted.map((one) => one.label)));
    const rows = await tx<{ number: number }[]>`
      select number from changelists where axis_id = ${axisId} and number between ${wanted[0]!.number}
        and ${wanted.at(-1)!.number + wanted.length + 10_000}`;
    const taken = new Set(rows.map((row) => row.number));
    const added = wanted.filter((one) => !known.has(one.label)).map(({ label, number }) => {
      while (taken.has(number)) number++;
      taken.add(number);
      return { label, number };
    });
    await tx`
      insert into changelists (axis_id, number, label)
      select ${axisId}, number, label
      from unnest(${added.map((one) => one.number)}::int[], ${
      added.map((one) => one.label)
    }::text[]) as added (number, label)`;
    return [...known, ...added.map((one): [string, number] => [one.label, one.number])];
  }) as [string, number][];
}

/**
 * Adds labelled changelists, all or none, and creates the axis if it is unknown.
 * @throws HubError CONFLICT if a number already has another label, or a label another number
 */
export async function addChangelists(
  sql: Db,
  axis: string,
  batches: AsyncIterable<Labelled[]> | Iterable<Labelled[]>,
): Promise<LabelledAnswer> {
  return await sql.begin(async (tx) => {
    const axisId = await ensureAxis(tx, axis);
    await tx`select pg_advisory_xact_lock(${LOCKS.changelists}, ${axisId})`;
    const answer = { added: 0, present: 0 };
    for await (const batch of batches) {
      const numbers = batch.map((one) => one.number);
      const labels = batch.map((one) => one.label);
      const rows = await tx`
        insert into changelists (axis_id, number, label)
        select ${axisId}, number, label from unnest(${numbers}::int[], ${labels}::text[]) as given (number, label)
        on conflict do nothing returning 1`;
      answer.added += rows.length;
      answer.present += batch.length - rows.length;
      if (rows.length < batch.length) await refuseOthers(tx, { axis, axisId, numbers, labels });
    }
    return answer;
  }) as LabelledAnswer;
}

async function refuseOthers(
  tx: Queryable,
  { axis, axisId, numbers, labels }: { axis: string; axisId: number; numbers: number[]; labels: string[] },
): Promise<void> {
  const [other] = await tx<
    { number: number; label: string; hasNumber: number | null; hasLabel: string | null }[]
  >`
    select given.number, given.label, by_label.number as "hasNumber", by_number.label as "hasLabel"
    from unnest(${numbers}::int[], ${labels}::text[]) with ordinality as given (number, label, place)
      left join changelists as by_number on by_number.axis_id = ${axisId} and by_number.number = given.number
      left join changelists as by_label on by_label.axis_id = ${axisId} and by_label.label = given.label
    where by_number.label is distinct from given.label or by_label.number is distinct from given.number
    order by given.place limit 1`;
  if (other === undefined) return;
  const { number, label, hasNumber, hasLabel } = other;
  throw new HubError(
    "CONFLICT",
    `The axis ${JSON.stringify(axis)} cannot assign the label ${label} to ${number}: ${
      hasLabel !== null && hasLabel !== label
        ? `${number} already has the label ${hasLabel}`
        : `${label} already is ${hasNumber}`
    }. Numbers never change; a rewritten list requires a new axis.`,
  );
}

/** Lists labelled changelists of an axis, highest number first. */
export async function listChangelists(sql: Queryable, input: LabelledList): Promise<Page<Labelled>> {
  const { axis, from = 1, to = MAX_CHANGELIST, cursor, limit } = input;
  const [before] = cursor === undefined ? [MAX_CHANGELIST + 1] : decodeCursor(cursor, ["number"]);
  const rows = await sql<Labelled[]>`
    select changelists.number, changelists.label
    from axes join changelists on changelists.axis_id = axes.id
    where axes.name = ${axis} and changelists.number between ${from} and ${to} and changelists.number < ${before}::bigint
    order by changelists.number desc limit ${limit + 1}`;
  return toPage(rows, limit, (row) => row, (row) => [row.number]);
}
