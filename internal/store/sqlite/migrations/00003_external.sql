-- +goose Up

-- Who of an identity provider a user is, and which of the roles it gave. All
-- have defaults: a program that does not know them goes on as before.
ALTER TABLE users ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN provider_roles TEXT NOT NULL DEFAULT '[]'; -- JSON array

CREATE UNIQUE INDEX users_external ON users (issuer, subject) WHERE issuer <> '';

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
