import { z } from "zod";

/** Largest changelist: Postgres `integer`. */
export const MAX_CHANGELIST = 2_147_483_647;

/** External text: Postgres can store neither NUL nor, in JSON, a lone surrogate. `max` in characters. */
export function text(max: number) {
  // deno-lint-ignore no-control-regex
  return z.string().min(1).max(max).regex(/^[^\u0000\p{Cs}]*$/u, "must not contain NUL or lone surrogates");
}

/** A name that users type: no control characters, no leading or trailing spaces. `max` in characters. */
export function nameOf(max: number) {
  return z.string().min(1).max(max).regex(
    /^[^\p{Cc}\p{Cs}]*$/u,
    "must not contain control characters or lone surrogates",
  )
    .refine((value) => value.trim() === value, "must not begin or end with a space");
}

export const changelist = z.coerce.number().int().min(1).max(MAX_CHANGELIST)
  .meta({ description: "Changelist: a positive integer that orders work on its axis" });
/**
 * A changelist in an input. `label:<commit>` is replaced by its number before a procedure's input is parsed, so the schema
 * accepts numbers only; the OpenAPI document lists both forms.
 */
export const changelistInput = changelist.meta({
  description: "Changelist: a positive integer, or `label:` followed by a commit hash or a prefix of one",
  override: ({ jsonSchema }: { jsonSchema: Record<string, unknown> }) => {
    const { description: _description, ...number } = jsonSchema;
    for (const key of Object.keys(number)) delete jsonSchema[key];
    jsonSchema.anyOf = [number, { type: "string", pattern: "^label:" }];
  },
});
export const id = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
export const axis = nameOf(64).default("main");
export const time = z.string().meta({ format: "date-time", description: "UTC, ISO 8601" });
export const nullableTime = time.nullable();

const FIRST_MOMENT = Date.parse("0001-01-01T00:00:00Z");
const LAST_MOMENT = Date.parse("9999-12-31T23:59:59Z");
const LARGEST_OFFSET_MINUTES = 14 * 60;

/** A time in an input. In UTC its year must be 1 to 9999, which both Postgres and JavaScript write with four digits. */
export const moment = z.iso.datetime({ offset: true })
  .refine(
    (value) => Math.abs(offsetMinutes(value)) <= LARGEST_OFFSET_MINUTES,
    "must have an offset of -14:00 to +14:00",
  )
  .refine(
    (value) => {
      const at = Date.parse(value);
      return at >= FIRST_MOMENT && at <= LAST_MOMENT;
    },
    "must be 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z in UTC",
  );

function offsetMinutes(value: string): number {
  const [, sign, hours, minutes] = /([-+])(\d\d):?(\d\d)$/.exec(value) ?? [];
  return sign === undefined ? 0 : Number(`${sign}1`) * (60 * Number(hours) + Number(minutes));
}

export const pageInput = {
  cursor: z.string().max(500).optional().meta({ description: "`nextCursor` of the previous page" }),
  limit: z.coerce.number().int().min(1).max(1000).default(50),
};

export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    nextCursor: z.string().nullable().meta({ description: "null on the last page" }),
  });
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** A list: `a,b,c` in a query string, or an array from tRPC. */
export function listOf<T extends z.ZodType>(item: T, max = 50) {
  return z.preprocess(
    (value) => typeof value === "string" ? value.split(",").filter((part) => part !== "") : value,
    z.array(item).min(1).max(max),
  );
}

/** A boolean: `true`, `1`, `false` or `0` in a query string. */
export const flag = z.preprocess(
  (value) => value === "true" || value === "1" ? true : value === "false" || value === "0" ? false : value,
  z.boolean(),
);
