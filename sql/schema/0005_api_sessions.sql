-- Sessions of the dashboard, and sign-in links (one use each: the session of a link has
-- an id derived from that of the link, and an id can exist once). Instants are milliseconds since 1970 UTC.
CREATE TABLE api_sessions (
    id            TEXT    NOT NULL PRIMARY KEY,
    digest        TEXT    NOT NULL CHECK (length(digest) = 64),  -- SHA-256 of the whole token, hexadecimal
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    ended_at_ms   INTEGER
);
