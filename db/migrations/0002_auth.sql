-- oldest code: 1
-- Who may do what: people, their sessions and tokens, what they did, and how often they tried.

create table people ( -- those who have signed in
  name text primary key,
  source text not null check (source in ('directory', 'local')), -- who vouches for them; local: the admin token
  groups text[] not null default '{}', -- as last read
  checked_at timestamptz not null, -- when the directory last vouched for them
  refused_at timestamptz, -- when it no longer did; their sessions and tokens are void
  first_seen timestamptz not null default now()
);

create table sessions (
  hash bytea primary key, -- SHA-256 of the id that the cookie holds
  person text not null references people on delete cascade,
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(), -- to the minute
  expires_at timestamptz not null, -- in any case
  address text not null,
  agent text not null default '' -- what the browser calls itself
);
create index sessions_by_person on sessions (person);
create index sessions_by_expiry on sessions (expires_at);

create table tokens (
  id integer generated always as identity primary key,
  hash bytea not null unique, -- SHA-256 of the token
  hint text not null, -- its last characters, to tell it from others
  person text not null references people on delete cascade,
  name text not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  last_used_at timestamptz, -- to the minute
  revoked_at timestamptz
);
create index tokens_by_person on tokens (person, id desc);

create table audit ( -- append-only
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  who text not null,
  via text not null, -- 'session', 'token <id>', 'admin token', 'sign-in'
  address text not null, -- where the request came from
  request_id text not null,
  action text not null, -- 'test.update'
  object text not null, -- 'test nightly'
  before jsonb, -- of a change
  after jsonb
);
create index audit_by_who on audit (who, id desc);
create index audit_by_object on audit (object, id desc);
create index audit_by_action on audit (action, id desc);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the table % is append-only', tg_table_name;
end $$;
create trigger audit_is_append_only before update or delete or truncate on audit
  for each statement execute function refuse_change();

create table throttles ( -- of rate-limiter-flexible: its column names
  key varchar(255) primary key,
  points integer not null default 0,
  expire bigint -- milliseconds since 1970
);
