-- oldest code: 8
-- A run is one of its test: two tests that read the same source each have their own, where the one that read it last took the
-- other's before. Older code names the old constraint when it writes a run.

alter table runs add constraint runs_identity unique (test_id, source, external_id, attempt); -- which run a repeat is
alter table runs drop constraint runs_source_external_id_attempt_key;

create or replace function stamp_run() returns trigger language plpgsql as $$
begin
  new.written_in := pg_current_xact_id();
  return new;
end $$;
