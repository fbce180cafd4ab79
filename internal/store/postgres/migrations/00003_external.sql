-- +goose Up

-- Who of an identity provider a user is, and which of the roles it gave. All
-- have defaults: a program that does not know them goes on as before.
ALTER TABLE tacet_users ADD COLUMN issuer text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tacet_users ADD COLUMN subject text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tacet_users ADD COLUMN provider_roles text[] NOT NULL DEFAULT '{}';

CREATE UNIQUE INDEX tacet_users_external ON tacet_users (issuer, subject) WHERE issuer <> '';

-- Which sessions began at a provider. Written at sign-in, never by a renewal.
CREATE TABLE tacet_session_links (
    session uuid   NOT NULL PRIMARY KEY,
    issuer  text   COLLATE "C" NOT NULL,
    subject text   COLLATE "C" NOT NULL,
    sid     text   COLLATE "C" NOT NULL,  -- '' if the provider named none
    at      bigint NOT NULL
);

CREATE INDEX tacet_session_links_subject ON tacet_session_links (issuer, subject, session);
CREATE INDEX tacet_session_links_sid ON tacet_session_links (issuer, sid, session) WHERE sid <> '';
CREATE INDEX tacet_session_links_at ON tacet_session_links (at);

CREATE TABLE tacet_notes (
    key   bytea  NOT NULL PRIMARY KEY,    -- SHA-256 of what it is about
    until bigint NOT NULL
);

CREATE INDEX tacet_notes_until ON tacet_notes (until);

-- +goose Down
DROP TABLE tacet_notes, tacet_session_links;
DROP INDEX tacet_users_external;
ALTER TABLE tacet_users DROP COLUMN issuer, DROP COLUMN subject, DROP COLUMN provider_roles;
