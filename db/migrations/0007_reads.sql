-- oldest code: 3
-- What makes reads cheap: when a run was last written, in the order of transactions, which tells whether a test's results are
-- still those that were answered; and the wire's forms of values, for answers that are written as JSON where the rows are.

alter table runs add column written_in xid8 not null default '0'; -- the transaction that wrote the run, its results or its samples last; 0: before this was kept

create function stamp_run() returns trigger language plpgsql as $$
begin
  new.written_in := pg_current_xact_id();
  -- A source that two tests read gives a run to the one that reads it last: the other has changed too.
  if tg_op = 'UPDATE' and old.test_id <> new.test_id then
    update tests set cases_version = cases_version + 1 where id = old.test_id;
  end if;
  return new;
end $$;
create trigger stamp_run before insert or update on runs for each row execute function stamp_run();

create function note_deleted_runs() returns trigger language plpgsql as $$
begin
  update tests set cases_version = cases_version + 1 where id in (select test_id from deleted);
  return null;
end $$;
create trigger note_deleted_runs after delete on runs referencing old table as deleted
for each statement execute function note_deleted_runs();

create index runs_by_write on runs (test_id, written_in);

alter table roots add column base text; -- URL that packages' folders lie under, as it is told; null: the url
update roots set base = regexp_replace(
  regexp_replace(regexp_replace(url, '^(index|s3|gcs)\+', ''), '[?].*$', '') || '/' ||
    replace(replace(coalesce(substring(url from '[?&]prefix=([^&]*)'), ''), '%2F', '/'), '+', '%20'),
  '/+$', ''
); -- the next scan writes it anew

create function json_time(t timestamptz) returns text language sql stable parallel safe -- UTC, to the millisecond, with a Z
return '"' || to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"';

create function percent_encoded(name text) returns text language sql immutable strict parallel safe -- as JavaScript's encodeURIComponent has it, and dots that name no file
return (
  select string_agg(
    case when byte < 128 and chr(byte) ~ '[A-Za-z0-9_.!~*''()-]' and name not in ('.', '..') then chr(byte)
      else '%' || lpad(upper(to_hex(byte)), 2, '0') end, '' order by place)
  from (
    select get_byte(convert_to(name, 'UTF8'), place) as byte, place
    from generate_series(0, octet_length(name) - 1) as place
  ) as bytes
);

create function url_part(name text) returns text language sql immutable parallel safe -- a name as a part of a URL's path
return case when name collate "C" ~ '^[A-Za-z0-9_.!~*''()-]+$' and name not in ('.', '..') then name else percent_encoded(name) end;
