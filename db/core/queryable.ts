import type { ISql, Sql } from "postgres";

/** A pool for one database. 64-bit integers are read as `number` (ids stay below 2^53), timestamps as `Date`. */
export type Db = Sql<{ bigint: number }>;
/** A pool or a transaction: the argument of query functions. */
export type Queryable = ISql<{ bigint: number }>;
