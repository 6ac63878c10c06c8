-- How many days a run left as they were published although it counted fewer transactions of them; null: not found out.
ALTER TABLE summary_runs ADD COLUMN days_kept INTEGER CHECK (days_kept >= 0);
