-- The API keys of programs. A key is never deleted: revoking one sets its revoked_at_ms. Instants are
-- milliseconds since 1970 UTC; lists are JSON text.
CREATE TABLE api_keys (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    digest        TEXT    NOT NULL CHECK (length(digest) = 64),  -- SHA-256 of the whole token, hexadecimal
    scopes        TEXT    NOT NULL,  -- ["summaries", …]
    merchants     TEXT    NOT NULL,  -- ["…", …]
    created_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER
);
