-- oldest code: 3
-- How long results are kept, and what keeps them longer.

alter table tests add column keep_days integer check (keep_days >= 0); -- days that results are kept; 0: for ever; null: as the setting says
alter table runs add column expired_at timestamptz; -- when its results and samples were deleted for their age; its head and counts stay

create table run_pins ( -- runs whose results stay
  run_id bigint not null references runs on delete cascade,
  cause text not null, -- 'person', or what else pins it: 'incident 12'
  who text not null,
  reason text,
  created_at timestamptz not null default now(),
  primary key (run_id, cause)
);
