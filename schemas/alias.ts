import { z } from "zod";
import { text } from "./common.ts";
import { MAX_CASE } from "./record.ts";
import { testName } from "./test.ts";

export const caseRename = z.object({
  name: testName,
  from: text(MAX_CASE).meta({ description: "The case's name until now" }),
  to: text(MAX_CASE).meta({ description: "Its name from now on" }),
});
export const caseAlias = z.object({
  oldName: z.string(),
  case: z.string().meta({ description: "What it means now" }),
});
export type CaseAlias = z.infer<typeof caseAlias>;
