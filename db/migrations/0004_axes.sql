-- oldest code: 3
-- How the labels of an axis are put in order, and finding them by their beginning.

alter table axes
  add column labels text check (labels in ('list', 'time')), -- 'list': only a list numbers them; 'time': a new one by its commit's time; null: the axis takes none
  add column list_url text, -- where its list is read from; null where it is only sent
  add column list_hash bytea, -- of the list that was read last, so that the same one is not written again
  add column list_read_at timestamptz, -- last time it could be read
  add column list_error text; -- why the last reading failed; null where it did not

-- People give the first characters of a commit's hash.
create index changelists_by_label on changelists (axis_id, label collate "C");
