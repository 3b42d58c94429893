// A process that scans a drop, reports its first batch, and then waits to be killed.
import { scanDropTask } from "../../cron/tasks/scan_drop.ts";
import { openDatabase } from "../../db/core/client.ts";

const [databaseUrl, dropUrl] = Deno.args;
await scanDropTask(
  {
    sql: openDatabase(databaseUrl!, { max: 2 }),
    config: { dropRoots: [{ name: "drop", url: dropUrl! }], dropPattern: undefined, dropFullScanDays: 7 },
    fetch: globalThis.fetch,
    now: () => new Date(),
    leaseS: 1,
    step(name) {
      Deno.stdout.writeSync(new TextEncoder().encode(`${name}\n`));
      return new Promise(() => {});
    },
  },
  { full: false, cause: "request" },
  new AbortController().signal,
);
