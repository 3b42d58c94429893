import { listAudit } from "../db/access/audit.ts";
import { auditList, auditPage } from "../schemas/audit.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

export const auditRouter = router({
  list: procedure
    .meta({ method: "GET", path: "/api/audit", summary: "List the audit log, newest first", role: "admin" })
    .input(auditList)
    .output(outputSchema(auditPage))
    .query(({ ctx, input }) => listAudit(ctx.sql, input)),
});
