import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import { ReadResult } from "./read_result.ts";

/** A procedure's output schema, for tRPC, the site map and OpenAPI. */
export interface OutputSchema<T extends z.ZodType> {
  schema: T;
  /** For types only. */
  _input: z.input<T> | ReadResult<z.output<T>>;
  _output: z.output<T>;
  parse(answer: unknown): z.output<T>;
}

let isChecked = false;

/** Validates every output against its schema from now on. For tests only: in production this costs more than the output. */
export function checkAnswers(): void {
  isChecked = true;
}

/** An output schema. If outputs are validated, any output that the schema would change is an error, even by an extra field. */
export function outputSchema<T extends z.ZodType>(schema: T): OutputSchema<T> {
  return {
    schema,
    parse(answer) {
      if (isChecked && !(answer instanceof ReadResult && answer.kind === "unchanged")) {
        const sent = answer instanceof ReadResult ? answer.text!.value : toJson(answer);
        if (!isDeepStrictEqual(toJson(schema.parse(sent)), sent)) {
          throw new Error(`An output does not match its schema: ${JSON.stringify(sent).slice(0, 2000)}`);
        }
      }
      return answer as z.output<T>;
    },
  } as OutputSchema<T>;
}

function toJson(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}
