-- oldest code: 8
-- Which runs and cases a scrape ignored, beside how many. Older code leaves the column empty.

alter table scrapes
  add column ignored_samples jsonb; -- the first 20 ignored: [{place, reason}]; null of all but a test's last scrape
