-- The time zone rules of the numbers: SHA-256 of the UTC offset changes, and where the rules
-- came from (for readers). Null: published before this was recorded.
ALTER TABLE summary_publications ADD COLUMN zone_rules TEXT;
ALTER TABLE summary_publications ADD COLUMN zone_rules_source TEXT;
ALTER TABLE summary_runs ADD COLUMN zone_rules TEXT;
ALTER TABLE summary_runs ADD COLUMN zone_rules_source TEXT;
