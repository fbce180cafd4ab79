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

-- Everything that is not hot (package documents).
CREATE TABLE documents (
    kind       TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    version    INTEGER NOT NULL, -- grows with every change
    number     INTEGER NOT NULL,
    expires_at INTEGER,          -- NULL: never
    indexed    TEXT    NOT NULL, -- its rows of document_values, as one text
    body       BLOB    NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX documents_expiry ON documents (expires_at) WHERE expires_at IS NOT NULL;

-- What documents are found by. distinct_by is the key where several documents may
-- have the same value, and '' where only one may.
CREATE TABLE document_values (
    name        TEXT NOT NULL, -- kind.index
    value       TEXT NOT NULL,
    distinct_by TEXT NOT NULL,
    key         TEXT NOT NULL,
    PRIMARY KEY (name, value, distinct_by)
) STRICT, WITHOUT ROWID;

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

INSERT INTO counters (name, value) VALUES ('checked', 0);
