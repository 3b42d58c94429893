import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import { JsonText } from "../db/core/json_text.ts";
import { UNCHANGED } from "./read_once.ts";

/** What a procedure answers with, as tRPC, the site map and OpenAPI take it. */
export interface Wire<T extends z.ZodType> {
  schema: T;
  /** For types only. */
  _input: z.input<T> | JsonText<z.output<T>>;
  _output: z.output<T>;
  parse(answer: unknown): z.output<T>;
}

let isChecked = false;

/** From now on every answer is held against its schema. For tests: at work it would cost more than the answer itself. */
export function checkAnswers(): void {
  isChecked = true;
}

/** An answer's schema. Where answers are checked, one that the schema would change, a field too many even, is an error. */
export function wire<T extends z.ZodType>(schema: T): Wire<T> {
  return {
    schema,
    parse(answer) {
      if (isChecked && answer !== UNCHANGED) {
        const sent = answer instanceof JsonText ? answer.value : toJson(answer);
        if (!isDeepStrictEqual(toJson(schema.parse(sent)), sent)) {
          throw new Error(`An answer is not what its schema says: ${JSON.stringify(sent).slice(0, 2000)}`);
        }
      }
      return answer as z.output<T>;
    },
  } as Wire<T>;
}

function toJson(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
