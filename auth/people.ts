import { type Author, recordAudit } from "../db/access/audit.ts";
import type { Db } from "../db/core/queryable.ts";
import { type PersonRow, refusePerson, savePerson } from "../db/access/people.ts";
import { writeIfPossible } from "../db/core/connection_errors.ts";
import type { Directory } from "./ldap.ts";
import { type HeldRole, rolesOf } from "./roles.ts";

export interface PeopleOptions {
  sql: Db;
  directory: Directory | undefined;
  groupRoles: readonly { role: HeldRole; group: string }[];
  recheckMs: number;
  now(): Date;
  log(message: string, fields?: Record<string, unknown>): void;
}

/** What someone holds at present. */
export interface Standing {
  roles: HeldRole[];
  /** Whether the directory could not be asked again when it was time. */
  isStale: boolean;
}

/** How long a directory that is away is left alone. */
const AWAY_MS = 10_000;

/** Tells whether someone who signed in before is still good, asking the directory again when it is time. */
export class People {
  /** One question for each person at a time. */
  readonly #asking = new Map<string, Promise<Standing | undefined>>();
  #awayUntil = 0;

  constructor(private readonly options: PeopleOptions) {}

  /** Undefined where they may no longer sign in. */
  async standingOf(person: PersonRow): Promise<Standing | undefined> {
    const { directory, groupRoles, recheckMs, now } = this.options;
    if (person.refusedAt !== null) return undefined;
    // A directory, once named, vouches for everyone.
    if ((person.source === "local") !== (directory === undefined)) return undefined;
    if (directory === undefined) return { roles: ["viewer", "admin"], isStale: false };
    if (now().getTime() - person.checkedAt.getTime() <= recheckMs) {
      return { roles: rolesOf(person.groups, groupRoles), isStale: false };
    }
    const known = { roles: rolesOf(person.groups, groupRoles), isStale: true };
    if (now().getTime() < this.#awayUntil) return known;
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
      this.#awayUntil = now().getTime() + AWAY_MS;
      log("the directory cannot be asked again", { reason: String((error as Error).cause ?? error) });
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
