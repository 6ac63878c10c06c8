-- The summaries, filled under the name that replaces {table}; publishing everything renames it to summary_transaction,
-- where publications of some periods change its rows. One row per mode, key and merchant; merchant_id is null for all
-- merchants together. Instants are milliseconds since 1970 UTC, half-open. Modes are compared one by one because IN would
-- make a table of its list for every row, which takes longer than the insert.
CREATE TABLE {table} (
    mode         TEXT    NOT NULL CHECK (mode = 'daily' OR mode = 'weekly' OR mode = 'monthly'),
    key          TEXT    NOT NULL,
    merchant_id  TEXT    CHECK (merchant_id <> ''),
    amount       INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    period_start INTEGER NOT NULL,
    period_end   INTEGER NOT NULL
);

-- For series lookups; forbids a duplicate row of a merchant and period.
CREATE UNIQUE INDEX {table}_series ON {table} (mode, merchant_id, key);

-- Forbids a duplicate overall row of a period: the index above cannot, because nulls are distinct in it.
CREATE UNIQUE INDEX {table}_overall ON {table} (mode, key) WHERE merchant_id IS NULL;
