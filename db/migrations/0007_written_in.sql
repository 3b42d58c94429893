-- oldest code: 3
-- When a run was last written, in the order of transactions: whether a test's results are still those that were answered.

alter table runs add column written_in xid8 not null default '0'; -- the transaction that wrote the run, its results or its samples last; 0: before this was kept

create function stamp_run() returns trigger language plpgsql as $$
begin
  new.written_in := pg_current_xact_id();
  return new;
end $$;
create trigger stamp_run before insert or update on runs for each row execute function stamp_run();

create index runs_by_write on runs (test_id, written_in);
