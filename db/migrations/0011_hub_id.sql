-- oldest code: 8
-- Two hubs may submit to one lab: the marks in the notes of their jobs must differ.

create table hub ( -- one row: this database's hub, however many processes it has
  id text not null,
  is_only boolean primary key default true check (is_only)
);
insert into hub (id) values (left(replace(gen_random_uuid()::text, '-', ''), 12));

alter table jobs
  add column marked_from integer; -- the first attempt whose note names the hub; null while none does
