-- How many of the rejects of a run are in its quarantine file, which has a limit; null: all of them.
ALTER TABLE summary_runs ADD COLUMN rejects_kept INTEGER CHECK (rejects_kept >= 0);
