-- +goose Up

-- What is looked for has a column; the rest is one JSON object.
CREATE TABLE oauth_clients (
    id   TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE oauth_flows (
    key        BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the code
    user_code  TEXT             UNIQUE,      -- NULL for authorization codes
    expires_at INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX oauth_flows_expiry ON oauth_flows (expires_at);
