import { getNumber } from "../db/changelists.ts";
import type { Queryable } from "../db/client.ts";

/** Every field of an input that is a changelist; a test holds this against the schemas. */
export const CHANGELIST_FIELDS = ["changelist", "from", "to", "base", "head"] as const;

const LABEL = /^label:(.+)$/s;

/** Whether an input has `label:…` for a changelist. */
export function hasLabels(input: unknown): boolean {
  if (typeof input !== "object" || input === null) return false;
  const given = input as Record<string, unknown>;
  return CHANGELIST_FIELDS.some((field) => {
    const value = given[field];
    return typeof value === "string" && LABEL.test(value);
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
    const label = typeof value === "string" ? LABEL.exec(value)?.[1] : undefined;
    if (label === undefined) continue;
    const axis = typeof given.axis === "string" ? given.axis : "main";
    numbered ??= { ...given };
    numbered[field] = await getNumber(sql, axis, label);
  }
  return numbered ?? input;
}
