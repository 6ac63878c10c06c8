-- The rules of the time zone that the numbers were counted with: SHA-256 of its changes of offset, and where the rules
-- came from (for people). Null: from before this was kept.
ALTER TABLE summary_publications ADD COLUMN zone_rules TEXT;
ALTER TABLE summary_publications ADD COLUMN zone_rules_source TEXT;
ALTER TABLE summary_runs ADD COLUMN zone_rules TEXT;
ALTER TABLE summary_runs ADD COLUMN zone_rules_source TEXT;
