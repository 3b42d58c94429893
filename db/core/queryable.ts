import type { ISql, Sql } from "postgres";

/** A pool over one database; numbers of 64 bits come as `number` (ids stay under 2^53), times as `Date`. */
export type Db = Sql<{ bigint: number }>;
/** A pool or a transaction: what query functions take. */
export type Queryable = ISql<{ bigint: number }>;
