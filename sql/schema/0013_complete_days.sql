-- The days that were over when they were last read, and read whole, as ranges of keys, both ends inclusive:
-- [{"first_key": "1403/01/01", "last_key": "1403/04/03"}, …]. Null: from before this was kept.
ALTER TABLE summary_publications ADD COLUMN complete_days TEXT;
ALTER TABLE summary_runs ADD COLUMN complete_days TEXT;
