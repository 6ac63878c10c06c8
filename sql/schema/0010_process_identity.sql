-- The identity of the process of a run: boot id, PID namespace, start in clock ticks since boot. Null in rows
-- of earlier versions and on systems without it: then only the heartbeat shows whether the process is alive.
ALTER TABLE summary_runs ADD COLUMN process_identity TEXT;
