-- The complete days (ended when they were last read, and read completely), as inclusive ranges of keys:
-- [{"first_key": "1403/01/01", "last_key": "1403/04/03"}, …]. Null: published before this was recorded.
ALTER TABLE summary_publications ADD COLUMN complete_days TEXT;
ALTER TABLE summary_runs ADD COLUMN complete_days TEXT;
