import { HubError } from "../../errors.ts";
import type { RunPin } from "../../schemas/retention.ts";
import { type Author, recordAudit } from "../access/audit.ts";
import type { Db } from "../core/queryable.ts";

/**
 * Pins a run, so that its results are kept regardless of age, or removes the pin.
 * @throws HubError NOT_FOUND, CONFLICT if the results are already deleted
 */
export async function pinRun(sql: Db, { id, pinned, reason }: RunPin, by: Author): Promise<void> {
  await sql.begin(async (tx) => {
    const [run] = await tx<{ isExpired: boolean }[]>`
      select expired_at is not null as "isExpired" from runs where id = ${id} for update`;
    if (run === undefined) throw new HubError("NOT_FOUND", `There is no run ${id}.`);
    if (pinned && run.isExpired) {
      throw new HubError(
        "CONFLICT",
        `The results of run ${id} were already deleted because of their age; it cannot be pinned.`,
      );
    }
    const changed = pinned
      ? await tx`
        insert into run_pins (run_id, cause, who, reason) values (${id}, 'person', ${by.name}, ${
        reason ?? null
      })
        on conflict (run_id, cause) do update set who = excluded.who, reason = excluded.reason
        where run_pins.reason is distinct from excluded.reason returning run_id`
      : await tx`delete from run_pins where run_id = ${id} and cause = 'person' returning run_id`;
    if (changed.length === 0) return;
    await recordAudit(tx, by, {
      action: pinned ? "run.pin" : "run.unpin",
      object: `run ${id}`,
      after: { reason },
    });
  });
}
