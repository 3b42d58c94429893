import type { Fragment } from "postgres";
import type { ChangelistList, ChangelistPage } from "../../schemas/build.ts";
import { MAX_CHANGELIST } from "../../schemas/common.ts";
import type { Queryable } from "../core/queryable.ts";
import { decodeCursor, encodeCursor } from "../core/cursor.ts";
import { type JsonText, pageText, withoutLast } from "../core/json_text.ts";
import { getPackageId, unknownPackages } from "./packages.ts";
import { buildsVersion } from "../core/cache_versions.ts";

interface Range {
  from: number;
  to: number;
  down: boolean;
  limit: number;
}

/** Result row of the query: a page and one extra changelist. */
interface Listed {
  packageId: number | null;
  version: string;
  /** Items as JSON, one per line. */
  lines: string | null;
  changelists: number[] | null;
}

/** Lists a package's changelists, each with its best build. @throws HubError NOT_FOUND */
export async function listChangelists(
  sql: Queryable,
  input: ChangelistList,
): Promise<JsonText<ChangelistPage>> {
  const { name, limit, available } = input;
  const [after] = input.cursor === undefined ? [null] : decodeCursor(input.cursor, ["number"]);
  const down = input.order === "desc";
  const from = Math.max(input.from ?? 1, down || after === null ? 1 : after + 1);
  const to = Math.min(input.to ?? MAX_CHANGELIST, down && after !== null ? after - 1 : MAX_CHANGELIST);
  if (from > to) {
    await getPackageId(sql, name);
    return pageText(null, null);
  }
  const range = { from, to, down, limit };
  let listed = available === undefined ? await readFirst(sql, name, range) : undefined;
  if (listed === undefined || !isDistinct(listed)) {
    listed = await readRanked(sql, name, { ...range, available });
  }
  if (listed.packageId === null) throw unknownPackages([name]);
  const { lines, changelists, version } = listed;
  if (lines === null || changelists === null || changelists.length <= limit) {
    return pageText(lines, null, version);
  }
  return pageText(withoutLast(lines), encodeCursor([changelists[limit - 1]!]), version);
}

function isDistinct({ changelists }: Listed): boolean {
  return changelists === null || changelists.every((one, at) => one !== changelists[at - 1]);
}

/**
 * Reads a page on the assumption that no changelist has two builds, as in most packages: then no ranking is required. It
 * reads one row per root more than the page has, so that duplicates of the last changelist are seen.
 */
async function readFirst(sql: Queryable, name: string, { from, to, down, limit }: Range): Promise<Listed> {
  const order = down ? sql`desc` : sql`asc`;
  const [listed] = await sql<[Listed]>`
    with package as materialized (select id from packages where name = ${name})
    select (select id from package) as "packageId", (${buildsVersion(sql)}) as version, ${columnsOf(sql)}
    from (
      select root.*, here.*, 1 as builds
      from (${rootsOf(sql, name)} offset 0) as root
      cross join lateral (
        select changelist, revision, file, size, first_seen, last_seen, gone_at from builds
        where root_id = root.id and package_id = (select id from package) and changelist between ${from} and ${to}
        order by changelist ${order} limit ${limit + 1}
      ) as here
      order by changelist ${order} limit ${limit + 1}
    ) as build`;
  return listed;
}

/** Reads the best build of each changelist: an available build before others, then the newest revision. */
async function readRanked(
  sql: Queryable,
  name: string,
  { from, to, down, limit, available }: Range & { available: boolean | undefined },
): Promise<Listed> {
  const order = down ? sql`desc` : sql`asc`;
  const [listed] = await sql<[Listed]>`
    with package as materialized (select id from packages where name = ${name}),
    listed as materialized (
      select array(
        select distinct changelist from (${
    candidates(sql, { available, from, to, order, limit })
  }) as candidates
        order by changelist ${order} limit ${limit + 1}
      ) as changelists
    ),
    ranked as (
      select root.*, here.*,
        row_number() over (
          partition by here.changelist
          order by (here.gone_at is null and root.configured) desc, here.revision desc, root.id, here.file collate "C"
        ) as place,
        count(*) over (partition by here.changelist) as builds
      from (${rootsOf(sql, name)} offset 0) as root
      cross join lateral (
        select changelist, revision, file, size, first_seen, last_seen, gone_at from builds
        where root_id = root.id and package_id = (select id from package)
          and changelist = any((select changelists from listed)::integer[])
        offset 0
      ) as here
    )
    select (select id from package) as "packageId", (${buildsVersion(sql)}) as version, ${columnsOf(sql)}
    from (select * from ranked where place = 1 order by changelist ${order}) as build`;
  return listed;
}

/** Selects every root, with what all items of the package have in common. */
function rootsOf(sql: Queryable, name: string): Fragment {
  return sql`
    select roots.id, roots.configured, readings.read_at, json_time(readings.read_at) as read_at_text,
      '{"package":' || to_json(${name}::text) || ',"root":' || to_json(roots.name) as head,
      trim(both '"' from to_json(rtrim(coalesce(roots.base, regexp_replace(roots.url, '^(index|s3|gcs)\\+|[?].*$', '', 'g')), '/') || '/' || url_part(${name}) || '/')::text) as folder_text
    from roots left join package_readings as readings
      on readings.root_id = roots.id and readings.package_id = (select id from package)`;
}

/**
 * Formats `build` as page items. A build that still exists was last seen by the last complete reading of its package.
 * Most file names need no escaping, so a single test decides.
 */
function columnsOf(sql: Queryable): Fragment {
  return sql`
    json_agg(changelist) as changelists,
    string_agg(
      head || ',"changelist":' || changelist || ',"revision":' || revision || case
          when file collate "C" ~ '^[A-Za-z0-9_~-][A-Za-z0-9_.~-]*$'
            then ',"file":"' || file || '","location":"' || folder_text || file
          else ',"file":' || to_json(file)::text || ',"location":"' || folder_text || url_part(file) end
        || '","size":' || coalesce(size::text, 'null')
        || ',"firstSeen":' || json_time(first_seen) || ',"lastSeen":' || case
          when gone_at is not null then json_time(coalesce(last_seen, first_seen))
          when read_at > first_seen then read_at_text
          else json_time(first_seen) end
        || ',"goneAt":' || case when gone_at is null then 'null' else json_time(gone_at) end
        || ',"available":' || case when gone_at is null and configured then 'true' else 'false' end
        || ',"builds":' || builds || '}',
      E',\n'
    ) as lines`;
}

/** Selects changelists that may be on the page, some of them twice. */
function candidates(
  sql: Queryable,
  { available, from, to, order, limit }: {
    available: boolean | undefined;
    from: number;
    to: number;
    order: Fragment;
    limit: number;
  },
): Fragment {
  const pageOfRoot = (condition: Fragment) =>
    sql`
      select distinct builds.changelist from builds
      where root_id = roots.id and package_id = (select id from package)
        and changelist between ${from} and ${to} and ${condition}
      order by changelist ${order} limit ${limit + 1}`;
  if (available === undefined) {
    return sql`select found.changelist from roots cross join lateral (${pageOfRoot(sql`true`)}) as found`;
  }
  if (available) {
    return sql`
      select found.changelist from roots cross join lateral (${pageOfRoot(sql`gone_at is null`)}) as found
      where roots.configured`;
  }
  // A scalar subquery stays one probe per changelist, whereas Postgres may turn `not exists` into a join over all builds.
  const noneAvailable = sql`(
    select true from roots as others cross join lateral (
      select from builds as there
      where there.root_id = others.id and there.package_id = (select id from package)
        and there.changelist = builds.changelist and there.gone_at is null
      limit 1
    ) as found where others.configured limit 1
  ) is null`;
  return sql`
    select found.changelist from roots cross join lateral (${
    pageOfRoot(sql`gone_at is not null and ${noneAvailable}`)
  }) as found where roots.configured
    union all
    select found.changelist from roots cross join lateral (${pageOfRoot(noneAvailable)}) as found
    where not roots.configured`;
}
