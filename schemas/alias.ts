import { z } from "zod";
import { text } from "./common.ts";
import { MAX_CASE } from "./record.ts";
import { testName } from "./test.ts";

export const caseRename = z.object({
  name: testName,
  from: text(MAX_CASE).meta({ description: "The case's present name" }),
  to: text(MAX_CASE).meta({ description: "The case's new name" }),
});
export const caseAlias = z.object({
  oldName: z.string(),
  case: z.string().meta({ description: "The case that the old name now refers to" }),
});
export type CaseAlias = z.infer<typeof caseAlias>;
