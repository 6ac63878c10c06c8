-- Number of days that a run kept as published although it counted fewer transactions of them; null: unknown.
ALTER TABLE summary_runs ADD COLUMN days_kept INTEGER CHECK (days_kept >= 0);
