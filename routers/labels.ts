import { getNumber } from "../db/axes/changelists.ts";
import type { Queryable } from "../db/core/queryable.ts";
import { MAX_BATCH } from "../schemas/job.ts";

/** Every input field that is a changelist; a test compares this list with the schemas. */
export const CHANGELIST_FIELDS = ["changelist", "changelists", "from", "to", "base", "head"] as const;

const LABEL = /^label:(.+)$/s;

function isLabel(value: unknown): value is string {
  return typeof value === "string" && LABEL.test(value);
}

/** Whether an input contains `label:…` as a changelist. */
export function hasLabels(input: unknown): boolean {
  if (typeof input !== "object" || input === null) return false;
  const given = input as Record<string, unknown>;
  return CHANGELIST_FIELDS.some((field) => {
    const value = given[field];
    return (Array.isArray(value) ? value : [value]).some(isLabel);
  });
}

/**
 * Replaces each `label:…` of an input by the number of that label on the input's axis. Returns other inputs unchanged.
 * @throws HubError NOT_FOUND, or BAD_REQUEST if a label is a prefix of several
 */
export async function withNumbers(sql: Queryable, input: unknown): Promise<unknown> {
  if (typeof input !== "object" || input === null) return input;
  const given = input as Record<string, unknown>;
  let numbered: Record<string, unknown> | undefined;
  for (const field of CHANGELIST_FIELDS) {
    const value = given[field];
    const axis = typeof given.axis === "string" ? given.axis : "main";
    const numberOf = (part: unknown) => isLabel(part) ? getNumber(sql, axis, LABEL.exec(part)![1]!) : part;
    if (isLabel(value)) numbered = { ...given, ...numbered, [field]: await numberOf(value) };
    // The schema rejects longer arrays.
    if (Array.isArray(value) && value.length <= MAX_BATCH && value.some(isLabel)) {
      numbered = { ...given, ...numbered, [field]: await Promise.all(value.map(numberOf)) };
    }
  }
  return numbered ?? input;
}
