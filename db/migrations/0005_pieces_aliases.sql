-- oldest code: 3
-- Runs that come in pieces, and cases that are given another name.

create table run_pieces ( -- what was merged into a run, so that a piece that comes again changes nothing
  run_id bigint not null references runs on delete cascade,
  content bytea not null, -- hash of the piece
  created_at timestamptz not null default now(),
  primary key (run_id, content)
);

-- Set where the name is an old one of that case: whatever comes under it is the case's. No result has an alias's id.
alter table cases add column alias_of integer;
create index cases_aliases on cases (alias_of) where alias_of is not null;
comment on column tests.cases_version is 'grows when cases are deleted, renamed, or an old name is forgotten: ids that a process keeps are void then';
