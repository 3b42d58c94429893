import { z } from "zod";
import { id, moment, pageInput, pageOf, text, time } from "./common.ts";

export const auditList = z.object({
  who: text(200).optional(),
  action: text(100).optional().meta({ description: "For example `test.update`" }),
  object: text(500).optional().meta({ description: "For example `test nightly`" }),
  from: moment.optional(),
  to: moment.optional(),
  ...pageInput,
});
export type AuditList = z.infer<typeof auditList>;

const auditEntry = z.object({
  id,
  at: time,
  who: z.string(),
  via: z.string().meta({ description: "`session`, `token <id>`, `admin token`, or `sign-in`" }),
  address: z.string(),
  requestId: z.string(),
  action: z.string(),
  object: z.string(),
  before: z.record(z.string(), z.unknown()).nullable(),
  after: z.record(z.string(), z.unknown()).nullable(),
});
export type AuditEntry = z.infer<typeof auditEntry>;
export const auditPage = pageOf(auditEntry);
