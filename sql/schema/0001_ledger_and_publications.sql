-- The publications: the row with the highest generation is the current one. Instants are milliseconds since
-- 1970 UTC; lists are JSON text. The columns time_zone to where_filters are the fingerprint of the numbers.
CREATE TABLE summary_publications (
    generation      INTEGER PRIMARY KEY CHECK (generation > 0),
    run_id          INTEGER NOT NULL,
    published_at_ms INTEGER NOT NULL,
    time_zone       TEXT    NOT NULL,
    calendar        TEXT    NOT NULL,
    merchant_field  TEXT    NOT NULL,
    amount_field    TEXT    NOT NULL,
    time_field      TEXT    NOT NULL,
    where_filters   TEXT    NOT NULL,  -- [{"field": …, "value": …}, …]
    rows            INTEGER NOT NULL,
    first_day_key   TEXT,
    last_day_key    TEXT,
    total_amount    TEXT    NOT NULL,  -- decimal digits: the sum of all merchants may exceed 64 bits
    total_count     INTEGER NOT NULL
);

-- The ledger: one row per run, whose counts add up: read = counted + rejected + filtered + out_of_range. The number of a
-- run is the run lock: it can be inserted once.
CREATE TABLE summary_runs (
    id                 INTEGER PRIMARY KEY CHECK (id > 0),
    command            TEXT    NOT NULL,
    status             TEXT    NOT NULL CHECK (status IN ('running', 'published', 'failed', 'interrupted', 'died')),
    phase              TEXT    NOT NULL,
    host               TEXT    NOT NULL,
    process_id         INTEGER NOT NULL,
    process_started_ms INTEGER NOT NULL,
    started_at_ms      INTEGER NOT NULL,
    heartbeat_at_ms    INTEGER NOT NULL,
    ended_at_ms        INTEGER,
    sources            TEXT    NOT NULL,  -- ["dump/shop.bson", …]
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
    generation         INTEGER,
    first_day_key      TEXT,
    last_day_key       TEXT,
    quarantine         TEXT,
    error              TEXT,
    CHECK ((status = 'running') = (ended_at_ms IS NULL))
);
