-- People who signed in to the dashboard, and the links with which they do (one use each: the session that a link begins has
-- an id made from the link's, and an id can exist once). Instants are milliseconds since 1970 UTC.
CREATE TABLE api_sessions (
    id            TEXT    NOT NULL PRIMARY KEY,
    digest        TEXT    NOT NULL CHECK (length(digest) = 64),  -- SHA-256 of the whole token, hexadecimal
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    ended_at_ms   INTEGER
);
