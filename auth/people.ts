import { type Author, recordAudit } from "../db/access/audit.ts";
import type { Db } from "../db/core/queryable.ts";
import { type PersonRow, refusePerson, savePerson } from "../db/access/people.ts";
import { writeIfPossible } from "../db/core/connection_errors.ts";
import type { Directory } from "./ldap.ts";
import { type GrantedRole, rolesOf } from "./roles.ts";

export interface PeopleOptions {
  sql: Db;
  directory: Directory | undefined;
  groupRoles: readonly { role: GrantedRole; group: string }[];
  recheckMs: number;
  now(): Date;
  log(message: string, fields?: Record<string, unknown>): void;
}

/** A person's present roles. */
export interface Standing {
  roles: GrantedRole[];
  /** Whether a due recheck failed because the directory was unreachable. */
  isStale: boolean;
}

/** Pause between attempts to reach an unreachable directory. */
const RETRY_MS = 10_000;

/** Checks whether people who signed in before still may, by rechecking the directory when due. */
export class People {
  /** Rechecks in progress, at most one per person. */
  readonly #asking = new Map<string, Promise<Standing | undefined>>();
  #unreachableUntil = 0;

  constructor(private readonly options: PeopleOptions) {}

  /** Returns undefined if the person may no longer sign in. */
  async standingOf(person: PersonRow): Promise<Standing | undefined> {
    const { directory, groupRoles, recheckMs, now } = this.options;
    if (person.refusedAt !== null) return undefined;
    // With a directory, every person must be from it.
    if ((person.source === "local") !== (directory === undefined)) return undefined;
    if (directory === undefined) return { roles: ["viewer", "admin"], isStale: false };
    if (now().getTime() - person.checkedAt.getTime() <= recheckMs) {
      return { roles: rolesOf(person.groups, groupRoles), isStale: false };
    }
    const known = { roles: rolesOf(person.groups, groupRoles), isStale: true };
    if (now().getTime() < this.#unreachableUntil) return known;
    const asking = this.#asking.get(person.name) ?? this.#ask(person, directory, known);
    this.#asking.set(person.name, asking);
    return await asking.finally(() => this.#asking.delete(person.name));
  }

  async #ask(person: PersonRow, directory: Directory, known: Standing): Promise<Standing | undefined> {
    const { sql, groupRoles, now, log } = this.options;
    let found;
    try {
      found = await directory.find(person.name);
    } catch (error) {
      this.#unreachableUntil = now().getTime() + RETRY_MS;
      log("LDAP is unreachable; people cannot be rechecked", {
        reason: String((error as Error).cause ?? error),
      });
      return known;
    }
    if (found === undefined) {
      const by: Author = { name: "hub", via: "recheck", address: "-", requestId: "-" };
      const refuse = sql.begin(async (tx) => {
        await refusePerson(tx, person.name, now());
        await recordAudit(tx, by, { action: "person.refuse", object: `person ${person.name}` });
      });
      await writeIfPossible(refuse);
      return undefined;
    }
    const save = savePerson(sql, { name: person.name, source: "directory", groups: found.groups }, now());
    await writeIfPossible(save);
    return { roles: rolesOf(found.groups, groupRoles), isStale: false };
  }
}
