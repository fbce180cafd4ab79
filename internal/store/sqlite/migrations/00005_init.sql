-- +goose Up

-- The first schema. Programs that were never released have used the numbers up to
-- 4; their databases are refused.

-- One row per session. A renewal must not make it longer, which would split
-- full pages: hence bytes of fixed length where numbers would grow. It must
-- touch no index either, so no index may name a column that it changes: head,
-- parent, head_at, address, agent.
CREATE TABLE sessions (
    id         BLOB    NOT NULL PRIMARY KEY, -- 16 bytes, ordered by time
    user_id    TEXT    NOT NULL,
    client     INTEGER NOT NULL,             -- texts.id, 0 for the empty text
    head       BLOB    NOT NULL,             -- generation (4 bytes, big-endian), tag (8)
    parent     BLOB    NOT NULL,             -- tag (8)
    head_at    INTEGER NOT NULL,             -- milliseconds since 1970 UTC, like all times here
    created_at INTEGER NOT NULL,
    address    BLOB    NOT NULL,             -- 4 or 16 bytes, none if unknown
    agent      INTEGER NOT NULL,             -- texts.id, 0 for the empty text
    bound_to   TEXT,                         -- what a renewal must show: 'kind key'; NULL, which costs a renewal nothing, is nothing
    details    TEXT,                         -- JSON, or NULL
    ended_at   INTEGER,                      -- NULL while the session lives
    end_reason TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id, id) WHERE ended_at IS NULL;

-- User agents and client ids, stored once. No foreign key leads here: checking
-- it would cost every renewal. Sweep removes what no session refers to.
CREATE TABLE texts (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE users (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE,
    display_name   TEXT    NOT NULL,
    email          TEXT    NOT NULL,
    password_hash  TEXT    NOT NULL,
    disabled       INTEGER NOT NULL,
    grants_version INTEGER NOT NULL,
    credentials    INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    issuer         TEXT    NOT NULL, -- who of an identity provider the user is, '' if nobody
    subject        TEXT    NOT NULL,
    provider_roles TEXT    NOT NULL  -- JSON array: those of the roles that the provider gave
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX users_external ON users (issuer, subject) WHERE issuer <> '';

CREATE TABLE user_roles (
    user_id TEXT NOT NULL REFERENCES users (id),
    role    TEXT NOT NULL,
    PRIMARY KEY (user_id, role)
) STRICT, WITHOUT ROWID;

CREATE INDEX user_roles_role ON user_roles (role);

CREATE TABLE roles (
    name        TEXT NOT NULL PRIMARY KEY,
    permissions TEXT NOT NULL -- JSON array
) STRICT, WITHOUT ROWID;

-- Rows keep the order of the ring.
CREATE TABLE keys (
    position   INTEGER NOT NULL PRIMARY KEY,
    id         INTEGER NOT NULL,
    use        TEXT    NOT NULL,
    algorithm  TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    active_at  INTEGER NOT NULL,
    retired_at INTEGER,
    sealed     BLOB    NOT NULL,
    UNIQUE (use, id)
) STRICT;

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice, also after pruning
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    user_id    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    data       BLOB    NOT NULL
) STRICT;

CREATE TABLE counters (
    name  TEXT    NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('key_ring', 0), ('checked', 0);

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

-- Which sessions began at a provider. Written at sign-in, never by a renewal.
CREATE TABLE session_links (
    session BLOB    NOT NULL PRIMARY KEY,
    issuer  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    sid     TEXT    NOT NULL, -- '' if the provider named none
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_links_subject ON session_links (issuer, subject, session);
CREATE INDEX session_links_sid ON session_links (issuer, sid, session) WHERE sid <> '';
CREATE INDEX session_links_at ON session_links (at);

CREATE TABLE notes (
    key   BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of what it is about
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX notes_until ON notes (until);
