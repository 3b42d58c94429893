import type { Author } from "../../db/access/audit.ts";

/** The author of writes in tests below the routers. */
export const BY: Author = { name: "admin", via: "test", address: "127.0.0.1", requestId: "test-request" };
