-- oldest code: 8
-- What a job waits for and why, which of its submissions may have reached the lab, and what the lab reports of its serials.

alter table jobs
  add column reason text, -- why it waits, or ended as it did: the lab's own words, where it gave any
  add column next_attempt_at timestamptz, -- a queued job is not submitted before; set while the lab cannot be reached
  add column unsent integer not null default 0, -- submissions in a row that did not reach the lab
  add column unclear integer not null default 0, -- submissions that may have reached the lab, by what vrlsubmit did
  add column needs_person boolean not null default false, -- unknown, and not submitted again by itself: a person cancels or retries it
  add column looked_up_at timestamptz, -- when the lab was last asked for its note
  add column batch bigint references jobs; -- the first job of the request that made it, where the request made several
create index jobs_by_batch on jobs (batch, id) where batch is not null;

alter table job_serials
  add column reason text, -- the lab's own, of its state
  add column heard_at timestamptz, -- when the lab last named it
  add column asked_at timestamptz, -- when the lab was last asked for it alone
  add column missed_since timestamptz; -- since when the lab answers that it does not know it; null while it does
