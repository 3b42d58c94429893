import { z } from "zod";

/** A setting: how its text is read, what it means, and its default as people read it. */
export interface Setting<T extends z.ZodType> {
  schema: T;
  description: string;
  default: string;
}

/** Declares a setting. `defaultText`: the default in words, where it is not the schema's. */
export function setting<T extends z.ZodType>(
  schema: T,
  description: string,
  defaultText = textOf(schema.parse(undefined)),
): Setting<T> {
  return { schema, description, default: defaultText };
}

function textOf(value: unknown): string {
  const isEmpty = value === undefined || value === "" || Array.isArray(value) && value.length === 0;
  return isEmpty ? "none" : String(value);
}

type Settings = Record<string, Setting<z.ZodType>>;
type Schemas<S extends Settings> = { [Name in keyof S]: S[Name]["schema"] };
/** The values of settings, read. */
export type Values<S extends Settings> = z.infer<z.ZodObject<Schemas<S>>>;

export function schemasOf<S extends Settings>(settings: S): Schemas<S> {
  return Object.fromEntries(Object.entries(settings).map(([name, { schema }]) => [name, schema])) as Schemas<
    S
  >;
}

export const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
export const yes = z.enum(["true", "false"]).default("false").transform((value) => value === "true");
