import type { Fragment } from "postgres";
import type { ChangelistItem, ChangelistList } from "../schemas/build.ts";
import { MAX_CHANGELIST, type Page } from "../schemas/common.ts";
import { encodePart, folderOf } from "../schemas/location.ts";
import type { Queryable } from "./client.ts";
import { type Columns, isoTime, nullableIsoTime, rowsOf } from "./columns.ts";
import { decodeCursor, toPage } from "./cursor.ts";
import { getPackageId, unknownPackages } from "./packages.ts";

/** A build of a page, its times as JSON has them. */
interface ListedRow {
  changelist: number;
  revision: number;
  file: string;
  rootId: number;
  size: number | null;
  firstSeen: string;
  lastSeen: string;
  goneAt: string | null;
  builds: number;
}

const LISTED = [
  "changelist",
  "revision",
  "file",
  "rootId",
  "size",
  "firstSeen",
  "lastSeen",
  "goneAt",
  "builds",
] as const;

interface ListedPage extends Columns<ListedRow> {
  packageId: number | null;
  roots: { id: number; name: string; url: string; configured: boolean }[] | null;
}

/** Changelists of a package, each with its best build. @throws HubError NOT_FOUND */
export async function listChangelists(
  sql: Queryable,
  input: ChangelistList,
): Promise<Page<ChangelistItem>> {
  const { name, limit, available } = input;
  const [after] = input.cursor === undefined ? [null] : decodeCursor(input.cursor, ["number"]);
  const down = input.order === "desc";
  const from = Math.max(input.from ?? 1, down || after === null ? 1 : after + 1);
  const to = Math.min(input.to ?? MAX_CHANGELIST, down && after !== null ? after - 1 : MAX_CHANGELIST);
  if (from > to) {
    await getPackageId(sql, name);
    return { items: [], nextCursor: null };
  }
  const order = down ? sql`desc` : sql`asc`;
  // One row, in one statement; the builds of each root are probed by the list of changelists that the page has.
  const [page] = await sql<[ListedPage]>`
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
      select here.*, root.id as root_id,
        case when here.gone_at is null then greatest(here.first_seen, root.read_at)
          else coalesce(here.last_seen, here.first_seen) end as seen_last,
        row_number() over (
          partition by here.changelist
          order by (here.gone_at is null and root.configured) desc, here.revision desc, root.id, here.file
        ) as place,
        count(*) over (partition by here.changelist) as builds
      from (
        select roots.id, roots.configured, readings.read_at
        from roots left join package_readings as readings
          on readings.root_id = roots.id and readings.package_id = (select id from package)
      ) as root
      cross join lateral (
        select changelist, revision, file, size, first_seen, last_seen, gone_at from builds
        where root_id = root.id and package_id = (select id from package)
          and changelist = any((select changelists from listed)::integer[])
        offset 0
      ) as here
    )
    select (select id from package) as "packageId",
      (select json_agg(json_build_object('id', id, 'name', name, 'url', url, 'configured', configured)) from roots) as roots,
      json_agg(changelist) as changelist, json_agg(revision) as revision, json_agg(file) as file,
      json_agg(root_id) as "rootId", json_agg(size) as size, json_agg(first_seen) as "firstSeen",
      json_agg(seen_last) as "lastSeen", json_agg(gone_at) as "goneAt", json_agg(builds) as builds
    from (select * from ranked where place = 1 order by changelist ${order}) as page`;
  if (page.packageId === null) throw unknownPackages([name]);
  const roots = new Map(page.roots?.map((root) => [root.id, { ...root, folder: folderOf(root.url, name) }]));
  const toItem = ({ rootId, ...row }: ListedRow): ChangelistItem => {
    const root = roots.get(rootId)!;
    return {
      package: name,
      changelist: row.changelist,
      revision: row.revision,
      file: row.file,
      location: root.folder + encodePart(row.file),
      root: root.name,
      size: row.size,
      firstSeen: isoTime(row.firstSeen),
      lastSeen: isoTime(row.lastSeen),
      goneAt: nullableIsoTime(row.goneAt),
      available: row.goneAt === null && root.configured,
      builds: row.builds,
    };
  };
  return toPage(rowsOf<ListedRow>(page, LISTED), limit, toItem, (row) => [row.changelist]);
}

/** Changelists of the statement's package that a page may hold, some twice. */
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
  // A scalar subquery: it stays one probe per changelist, where `not exists` may become a join over all builds.
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
