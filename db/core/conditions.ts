import type { Fragment } from "postgres";
import type { Queryable } from "./queryable.ts";

/** The conditions of a query whose filters are optional: a filter that is undefined or null adds none. */
export class Conditions {
  readonly #sql: Queryable;
  readonly #conditions: Fragment[] = [];

  constructor(sql: Queryable) {
    this.#sql = sql;
  }

  /** All conditions, joined by `and`; `true` without any. */
  get all(): Fragment {
    const sql = this.#sql;
    const [first = sql`true`, ...rest] = this.#conditions;
    return sql`${[first, ...rest.map((one) => sql`and ${one}`)]}`;
  }

  /** A condition on the filter's value. */
  given<T>(value: T | undefined | null, condition: (value: T) => Fragment): this {
    if (value !== undefined && value !== null) this.#conditions.push(condition(value));
    return this;
  }

  /** `column` may be qualified, as in `runs.status`. */
  equal(column: string, value: string | number | boolean | undefined | null): this {
    return this.given(value, (given) => this.#sql`${this.#sql(column)} = ${given}`);
  }

  atLeast(column: string, value: string | number | undefined): this {
    return this.given(value, (given) => this.#sql`${this.#sql(column)} >= ${given}`);
  }

  atMost(column: string, value: string | number | undefined): this {
    return this.given(value, (given) => this.#sql`${this.#sql(column)} <= ${given}`);
  }

  below(column: string, value: string | number | undefined | null): this {
    return this.given(value, (given) => this.#sql`${this.#sql(column)} < ${given}`);
  }

  /** Whether a `jsonb` column has these keys with these values. */
  contains(column: string, keys: Record<string, string> | undefined): this {
    return this.given(
      keys,
      (given) => this.#sql`${this.#sql(column)} @> ${JSON.stringify(given)}::text::jsonb`,
    );
  }

  /** Whether a text column contains the text, in any case. */
  includes(column: string, text: string | undefined): this {
    return this.given(
      text,
      (given) => this.#sql`${this.#sql(column)} ilike ${`%${given.replace(/[\\%_]/g, "\\$&")}%`}`,
    );
  }
}
