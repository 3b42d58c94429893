import { z } from "zod";
import { patternFault } from "../../patterns.ts";

/** The schema of a regular expression that runs in linear time. `oneOf`: named groups, at least one of which it must have. */
export function patternSetting(oneOf: readonly string[] = []) {
  return z.string().min(1).max(500).superRefine((source, context) => {
    const message = patternFault(source, oneOf);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });
}
