-- What tells the process of a run from every other: boot id, PID namespace, start in clock ticks since boot. Null in rows
-- of earlier versions and where the system does not tell: then only the heartbeat shows whether the process is alive.
ALTER TABLE summary_runs ADD COLUMN process_identity TEXT;
