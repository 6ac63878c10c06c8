-- A key may expire. The last use of keys is stored separately: each server writes it
-- every few minutes at most, and a lost write does no harm.
ALTER TABLE api_keys ADD COLUMN expires_at_ms INTEGER;  -- null: never
CREATE TABLE api_key_uses (
    key_id          TEXT    NOT NULL PRIMARY KEY,
    last_used_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- The figures of an announcement: a list of one object; of all other messages an empty list.
ALTER TABLE notifications ADD COLUMN announced TEXT NOT NULL DEFAULT '[]';
