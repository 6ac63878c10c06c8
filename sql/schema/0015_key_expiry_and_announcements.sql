-- A key may have an end, from which on it is of no use. When keys were last used is noted apart from them: at most every few
-- minutes, by each server, and a lost note does no harm.
ALTER TABLE api_keys ADD COLUMN expires_at_ms INTEGER;  -- null: never
CREATE TABLE api_key_uses (
    key_id          TEXT    NOT NULL PRIMARY KEY,
    last_used_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- The figures that an announcement tells of: a list of one object, or of none, as of all other messages.
ALTER TABLE notifications ADD COLUMN announced TEXT NOT NULL DEFAULT '[]';
