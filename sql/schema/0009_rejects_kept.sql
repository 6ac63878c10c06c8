-- Number of rejects in the quarantine file of a run, which has a limit; null: all of them.
ALTER TABLE summary_runs ADD COLUMN rejects_kept INTEGER CHECK (rejects_kept >= 0);
