-- Adds refreshes to the ledger, runs without changes, the instant up to which a
-- run has read its sources, and the number of changed days. SQLite cannot alter a CHECK, so the table is rebuilt with its rows.
CREATE TABLE summary_runs_0004 (
    id                 INTEGER PRIMARY KEY CHECK (id > 0),
    command            TEXT    NOT NULL,
    status             TEXT    NOT NULL CHECK (
        status IN ('running', 'published', 'unchanged', 'failed', 'interrupted', 'died')
    ),
    phase              TEXT    NOT NULL,
    incremental        INTEGER NOT NULL DEFAULT 0 CHECK (incremental IN (0, 1)),
    host               TEXT    NOT NULL,
    process_id         INTEGER NOT NULL,
    process_started_ms INTEGER NOT NULL,
    started_at_ms      INTEGER NOT NULL,
    heartbeat_at_ms    INTEGER NOT NULL,
    ended_at_ms        INTEGER,
    sources            TEXT    NOT NULL,  -- ["dump/shop.bson", …]
    as_of_ms           INTEGER,           -- what happened before is in the sources; null where that is not known
    time_zone          TEXT    NOT NULL,
    calendar           TEXT    NOT NULL,
    merchant_field     TEXT    NOT NULL,
    amount_field       TEXT    NOT NULL,
    time_field         TEXT    NOT NULL,
    where_filters      TEXT    NOT NULL,  -- as in summary_publications
    read               INTEGER NOT NULL CHECK (read >= 0),
    counted            INTEGER NOT NULL CHECK (counted >= 0),
    rejected           INTEGER NOT NULL CHECK (rejected >= 0),
    filtered           INTEGER NOT NULL CHECK (filtered >= 0),
    out_of_range       INTEGER NOT NULL CHECK (out_of_range >= 0),
    rejects_by_reason  TEXT    NOT NULL,  -- [{"reason": "amount: …", "count": 3}, …]
    warnings           TEXT    NOT NULL,  -- ["…", …]
    generation         INTEGER,           -- what it published, or found unchanged
    days_changed       INTEGER CHECK (days_changed >= 0),
    first_day_key      TEXT,
    last_day_key       TEXT,
    quarantine         TEXT,
    error              TEXT,
    CHECK ((status = 'running') = (ended_at_ms IS NULL))
);

INSERT INTO summary_runs_0004 (
    id, command, status, phase, host, process_id, process_started_ms, started_at_ms, heartbeat_at_ms, ended_at_ms,
    sources, time_zone, calendar, merchant_field, amount_field, time_field, where_filters, read, counted, rejected,
    filtered, out_of_range, rejects_by_reason, warnings, generation, first_day_key, last_day_key, quarantine, error
)
SELECT
    id, command, status, phase, host, process_id, process_started_ms, started_at_ms, heartbeat_at_ms, ended_at_ms,
    sources, time_zone, calendar, merchant_field, amount_field, time_field, where_filters, read, counted, rejected,
    filtered, out_of_range, rejects_by_reason, warnings, generation, first_day_key, last_day_key, quarantine, error
FROM summary_runs;

DROP TABLE summary_runs;
ALTER TABLE summary_runs_0004 RENAME TO summary_runs;

-- The bookmark: the publication has every transaction before that instant that its sources had; null: unknown.
ALTER TABLE summary_publications ADD COLUMN complete_until_ms INTEGER;
