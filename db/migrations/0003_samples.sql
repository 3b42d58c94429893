-- oldest code: 2
-- What was measured beside the outcome, and what a run was pushed from.

create table metrics (
  id integer generated always as identity primary key,
  name text not null,
  unit text not null default '', -- '' where the source tells none
  unique (name, unit)
);

create table samples ( -- no foreign keys, as for results; db/store.ts is the only writer
  run_id bigint not null, -- runs
  case_id integer not null, -- cases
  metric_id integer not null, -- metrics
  ordinal smallint not null, -- from 1: the nth value of the metric for the case in the run
  changelist integer not null, -- the run's, for the history of a metric
  value double precision, -- null where it is a text
  word text, -- a value that is no number, such as the hash of a binary
  primary key (run_id, case_id, metric_id, ordinal),
  check ((value is null) <> (word is null))
) partition by range (run_id);
create index samples_by_case on samples (case_id, metric_id, changelist, run_id);

-- Grows when cases of the test are deleted: ids that a process has kept of them are void then.
alter table tests add column cases_version integer not null default 0;
alter table runs add column samples integer not null default 0; -- number of its samples

-- Makes the partitions of results and of samples that hold runs up to run_id; else as in migration 0001.
create or replace function ensure_results_partition(up_to bigint) returns void language plpgsql as $$
declare
  slot bigint;
  parent text;
  part text;
begin
  for slot, parent in
    select n, p from generate_series(greatest(0, up_to / 20000 - 1), up_to / 20000) n, (values ('results'), ('samples')) as v (p)
  loop
    part := parent || '_' || slot;
    if to_regclass(part) is null then
      perform pg_advisory_xact_lock(727001, 1);
      begin
        execute format(
          'create table %I (like %I including defaults including constraints including indexes)', part, parent
        );
        execute format(
          'alter table %I attach partition %I for values from (%s) to (%s)', parent, part, slot * 20000, (slot + 1) * 20000
        );
      exception when duplicate_table then -- made while this waited; to_regclass may not have heard of it yet
        null;
      end;
    end if;
  end loop;
end $$;

-- Those that results has already.
select ensure_results_partition(substring(child.relname from '\d+$')::bigint * 20000)
from pg_inherits join pg_class child on child.oid = inhrelid
where inhparent = 'results'::regclass;
