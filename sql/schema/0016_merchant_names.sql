-- Names of merchants, at most one per language. They belong to no publication. The version changes with each
-- change; no row: there never was a name.
CREATE TABLE merchant_names (
    merchant_id TEXT NOT NULL,
    language    TEXT NOT NULL CHECK (language IN ('fa', 'en')),
    name        TEXT NOT NULL CHECK (name <> ''),
    PRIMARY KEY (merchant_id, language)
) WITHOUT ROWID;
CREATE TABLE merchant_names_version (
    version TEXT NOT NULL
);
