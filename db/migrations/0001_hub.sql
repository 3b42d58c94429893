-- oldest code: 1
-- The axis, the binary drop, tests with their runs and results, jobs, and what keeps work from being done twice.

create table axes (
  id smallint generated always as identity primary key,
  name text not null unique -- one Perforce server, or one git branch's first-parent line
);
insert into axes (name) values ('main');

create table changelists ( -- only those that carry a label; any other number needs no row
  axis_id smallint not null references axes,
  number integer not null check (number > 0),
  label text not null, -- a commit hash, where the number is a commit ordinal
  primary key (axis_id, number),
  unique (axis_id, label)
);

create table leases ( -- who may write what right now; taken over when expired
  name text primary key, -- 'scan', 'scrape:<test id>'
  holder text not null, -- process and moment, for people
  fence bigint not null, -- grows with each taking; a batch written under an older one is refused
  expires_at timestamptz not null
);

-- the binary drop

create table roots (
  id integer generated always as identity primary key,
  url text not null unique,
  name text not null, -- as DROP_URLS names it; the url where it does not
  configured boolean not null default true -- false once DROP_URLS names it no more
);

create table packages (
  id integer generated always as identity primary key,
  name text not null unique,
  branch text, -- null where the name does not parse
  build text check (build in ('Release', 'Debug', 'Develop', 'Assert', 'Retail')),
  scanned boolean not null default true, -- whether scans read it for builds
  first_seen timestamptz not null default now()
);
create index packages_by_branch on packages (branch, name);
create index packages_not_scanned on packages (name) where not scanned;

create table package_readings ( -- what the last scans found of a package under a root
  root_id integer not null references roots,
  package_id integer not null references packages,
  mark text, -- the source's sign of change (a folder's modification time), null if it has none
  read_at timestamptz, -- start of the last complete reading: the last-seen time of every build not gone
  full_at timestamptz, -- start of the last reading that did not rely on the mark
  unread_reason text, -- why the last reading failed; null if it did not
  empty_readings smallint not null default 0, -- full readings in a row that came back empty where builds were known
  primary key (root_id, package_id)
);

create table builds ( -- no foreign keys: each would cost a query per row written; db/build_store.ts is the only writer
  root_id integer not null, -- roots
  package_id integer not null, -- packages
  changelist integer not null check (changelist > 0),
  revision integer not null default 0, -- the .n behind the changelist
  file text not null, -- its name in the package's folder
  size bigint, -- bytes, null where the source does not tell
  first_seen timestamptz not null,
  last_seen timestamptz, -- set when it goes; until then the package's read_at
  gone_at timestamptz, -- when a complete reading first lacked it
  primary key (root_id, package_id, changelist, revision, file)
);
-- Roots are few: a question over all of them probes once per root, so that none of these skips what it does not want.
create index builds_available on builds (root_id, package_id, changelist) where gone_at is null;
create index builds_gone on builds (root_id, package_id, changelist) where gone_at is not null;

create unlogged table seen_builds ( -- of packages that one batch does not hold, while they are read; what is not here is gone
  root_id integer not null,
  package_id integer not null,
  changelist integer not null,
  revision integer not null,
  file text not null
);

create table scans (
  id bigint generated always as identity primary key,
  root_id integer references roots, -- null for a scan that failed before any root was read
  state text not null check (state in ('running', 'done', 'failed', 'lost')),
  cause text not null, -- 'schedule', 'request', 'missed'
  full_read boolean not null, -- whether marks were ignored
  started_at timestamptz not null,
  updated_at timestamptz not null, -- of the counts below, while it runs
  finished_at timestamptz,
  packages_seen integer not null default 0,
  packages_unchanged integer not null default 0, -- taken as they were, by their mark
  packages_unread integer not null default 0,
  builds_seen integer not null default 0,
  builds_added integer not null default 0,
  builds_gone integer not null default 0,
  builds_back integer not null default 0, -- were gone and are there again
  unparsed_count integer not null default 0,
  unparsed jsonb not null default '[]', -- the first 100: [{place, reason}]
  unread jsonb not null default '[]', -- the first 100: [{place, reason}]
  error text
);
create index scans_by_state on scans (state, id);

-- tests, runs, results

create table tests (
  id integer generated always as identity primary key,
  name text not null unique,
  scraper text not null, -- tag
  settings jsonb not null default '{}', -- fits the scraper's schema
  submit jsonb not null default '{}', -- defaults of a job: {labTest, os, machine, pool, package}
  owner text,
  description text,
  interval_s integer not null default 3600 check (interval_s >= 60), -- seconds between scrapes
  enabled boolean not null default true,
  watermark text, -- what the scraper has read up to; its own words
  due_at timestamptz not null default now(), -- next scrape
  failures integer not null default 0, -- failed scrapes in a row
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz -- kept for its results
);
create index tests_due on tests (due_at) where enabled and deleted_at is null;

create table scrapes (
  id bigint generated always as identity primary key,
  test_id integer not null references tests on delete cascade,
  state text not null check (state in ('running', 'done', 'failed', 'lost')),
  cause text not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  watermark_before text,
  watermark_after text,
  seen integer not null default 0,
  kept integer not null default 0,
  ignored jsonb not null default '{}', -- reason -> count
  runs_added integer not null default 0,
  results_written integer not null default 0,
  error text
);
create index scrapes_by_test on scrapes (test_id, id desc);
create index scrapes_by_start on scrapes (test_id, started_at);
create index scrapes_done on scrapes (test_id, id desc) where state = 'done';

create table outcomes (
  id smallint primary key, -- place in schemas/outcome.ts, from 1
  name text not null unique,
  outcome_group text not null check (outcome_group in ('good', 'bad', 'silent', 'lab_error'))
);
insert into outcomes (id, name, outcome_group) values
  (1, 'passed', 'good'), (2, 'xfailed', 'good'),
  (3, 'failed', 'bad'), (4, 'error', 'bad'), (5, 'timeout', 'bad'), (6, 'xpassed', 'bad'), (7, 'unresolved', 'bad'),
  (8, 'skipped', 'silent'), (9, 'unsupported', 'silent'), (10, 'untested', 'silent'), (11, 'blocked', 'silent'),
  (12, 'not_run', 'silent'), (13, 'lab_error', 'lab_error');

create table environments (
  id integer generated always as identity primary key,
  keys jsonb not null, -- os, cpu, gpu, machine, pool, and free-form ones
  hash uuid not null unique generated always as (md5(keys::text)::uuid) stored -- jsonb text is canonical
);

create table cases (
  id integer generated always as identity primary key,
  test_id integer not null references tests,
  name text not null,
  hash uuid not null generated always as (md5(name)::uuid) stored, -- names outgrow an index entry
  unique (test_id, hash)
);

create table runs (
  id bigint generated always as identity primary key,
  test_id integer not null references tests,
  source text not null, -- 'push:<test>', 'vrl:<url>', 'files:<root>'
  external_id text not null, -- the source's own name of the run
  attempt integer not null default 1,
  axis_id smallint not null references axes,
  changelist integer not null check (changelist > 0),
  package_id integer references packages,
  environment_id integer not null references environments,
  status text not null check (status in ('running', 'done', 'lab_error')),
  reason text, -- of a lab_error
  started_at timestamptz,
  finished_at timestamptz,
  url text,
  serial bigint, -- the lab's
  counts jsonb not null default '{}', -- outcome -> results, kept as the results are written
  content bytea not null default '', -- hash of all that was stored of it: a repeat of the same writes nothing
  version integer not null default 1, -- grows when a repeat brings something else
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (source, external_id, attempt)
);
create index runs_by_changelist on runs (test_id, axis_id, changelist, id);
create index runs_by_test on runs (test_id, id);
create index runs_by_serial on runs (serial) where serial is not null;

create table results ( -- no foreign keys: each would cost a query per row written; db/store.ts is the only writer
  run_id bigint not null, -- runs
  case_id integer not null, -- cases
  ordinal smallint not null, -- from 1: the nth time the run names the case
  outcome smallint not null, -- outcomes
  changelist integer not null, -- the run's, for the history of a case
  duration_ms real,
  word text, -- the source's own, where it is another
  message text, -- excerpt
  primary key (run_id, case_id, ordinal)
) partition by range (run_id);
create index results_by_case on results (case_id, changelist, run_id);

-- Makes the partitions that hold runs up to run_id. A partition holds 20,000 runs. Attaching, unlike `partition of`,
-- lets readers and writers of the others go on.
create function ensure_results_partition(up_to bigint) returns void language plpgsql as $$
declare
  slot bigint;
  part text;
begin
  for slot in select generate_series(greatest(0, up_to / 20000 - 1), up_to / 20000) loop
    part := 'results_' || slot;
    if to_regclass(part) is null then
      perform pg_advisory_xact_lock(727001, 1);
      begin
        execute format('create table %I (like results including defaults including constraints including indexes)', part);
        execute format(
          'alter table results attach partition %I for values from (%s) to (%s)', part, slot * 20000, (slot + 1) * 20000
        );
      exception when duplicate_table then -- made while this waited; to_regclass may not have heard of it yet
        null;
      end;
    end if;
  end loop;
end $$;
select ensure_results_partition(20000);

create table waivers (
  id integer generated always as identity primary key,
  test_id integer not null references tests,
  case_id integer references cases, -- null: every case of the test
  environment jsonb not null default '{}', -- keys a run's environment must have
  axis_id smallint not null references axes,
  changelist_from integer,
  changelist_to integer,
  owner text not null,
  reason text not null,
  bug_url text,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index waivers_by_test on waivers (test_id, case_id);

-- jobs

create table jobs (
  id bigint generated always as identity primary key,
  test_id integer not null references tests,
  lab_test text not null, -- the test's name in the lab
  package_id integer references packages,
  changelist integer,
  package_url text not null,
  os text not null,
  machine text,
  pool text,
  note text not null, -- as asked; the submitted one has the job's id before it
  report text not null default 'none' check (report in ('email', 'none')),
  state text not null check (state in (
    'queued', 'submitting', 'submitted', 'running', 'done', 'failed', 'cancelled', 'lost', 'unknown')),
  attempt integer not null default 0, -- submissions begun
  attempt_ends_at timestamptz, -- when the binary of the last attempt can no longer be running
  stdout text,
  stderr text,
  requested_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  retry_of bigint references jobs
);
create index jobs_by_test on jobs (test_id, id desc);
create index jobs_by_state on jobs (state, id desc);

create table job_serials (
  serial bigint primary key, -- the lab's
  job_id bigint not null references jobs on delete cascade,
  state text not null default 'queued' -- the lab's word for it
);
create index job_serials_by_job on job_serials (job_id);

create table job_events (
  id bigint generated always as identity primary key,
  job_id bigint not null references jobs on delete cascade,
  at timestamptz not null default now(),
  state text not null, -- from then on
  cause text not null
);
create index job_events_by_job on job_events (job_id, id);

create table lab_cursor ( -- how far the lab's list of changed jobs has been followed
  lab_url text primary key,
  cursor text not null, -- the lab's own words
  updated_at timestamptz not null default now()
);

create table idempotency_keys (
  scope text not null, -- route and caller
  key text not null,
  request_hash text not null, -- a repeat with another request is refused
  target_id bigint not null, -- what the first one made
  created_at timestamptz not null default now(),
  primary key (scope, key)
);

create table cron_ticks ( -- last time each line of the schedule did its work
  name text primary key,
  last_at timestamptz not null
);
