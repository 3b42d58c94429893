import { getNumber } from "../db/axes/changelists.ts";
import type { Queryable } from "../db/core/queryable.ts";
import { MAX_BATCH } from "../schemas/job.ts";

/** Every field of an input that is a changelist; a test holds this against the schemas. */
export const CHANGELIST_FIELDS = ["changelist", "changelists", "from", "to", "base", "head"] as const;

const LABEL = /^label:(.+)$/s;

function isLabel(value: unknown): value is string {
  return typeof value === "string" && LABEL.test(value);
}

/** Whether an input has `label:…` for a changelist. */
export function hasLabels(input: unknown): boolean {
  if (typeof input !== "object" || input === null) return false;
  const given = input as Record<string, unknown>;
  return CHANGELIST_FIELDS.some((field) => {
    const value = given[field];
    return (Array.isArray(value) ? value : [value]).some(isLabel);
  });
}

/**
 * An input with `label:…` replaced by the number that has the label on the input's axis; any other is given back as it is.
 * @throws HubError NOT_FOUND, BAD_REQUEST where it is short for several
 */
export async function withNumbers(sql: Queryable, input: unknown): Promise<unknown> {
  if (typeof input !== "object" || input === null) return input;
  const given = input as Record<string, unknown>;
  let numbered: Record<string, unknown> | undefined;
  for (const field of CHANGELIST_FIELDS) {
    const value = given[field];
    const axis = typeof given.axis === "string" ? given.axis : "main";
    const numberOf = (one: unknown) => isLabel(one) ? getNumber(sql, axis, LABEL.exec(one)![1]!) : one;
    if (isLabel(value)) numbered = { ...given, ...numbered, [field]: await numberOf(value) };
    // Longer ones are refused by their schema.
    if (Array.isArray(value) && value.length <= MAX_BATCH && value.some(isLabel)) {
      numbered = { ...given, ...numbered, [field]: await Promise.all(value.map(numberOf)) };
    }
  }
  return numbered ?? input;
}
