-- +goose Up

-- The first schema. Programs that were never released have used the numbers up to
-- 4; their databases are refused.

-- One row per session. A renewal changes tag, parent, generation, head_at,
-- agent and address: no index may name one of these, and the room that
-- fillfactor leaves on each page takes the new version of the row (HOT; measured:
-- 80 does no better, at 90 one renewal in a hundred finds its page full). There
-- is no NULL, whose bitmap would cost every row eight bytes.
CREATE TABLE tacet_sessions (
    id         uuid    NOT NULL PRIMARY KEY,  -- ordered by time
    user_key   uuid    NOT NULL,              -- 128 bits of the user's id, or of its hash
    tag        bigint  NOT NULL,              -- 64 bits, also those of parent
    parent     bigint  NOT NULL,
    head_at    bigint  NOT NULL,              -- milliseconds since 1970 UTC, like all times here
    created_at bigint  NOT NULL,
    agent      bigint  NOT NULL,              -- tacet_texts.id, 0 for the empty text
    generation integer NOT NULL,              -- 32 bits, without a sign
    address    bytea   NOT NULL,              -- 4 or 16 bytes, none if unknown
    user_id    text    COLLATE "C" NOT NULL,  -- how to read them: '' as a UUID, 'usr' as usr_ and base32; or = and the id
    client     text    COLLATE "C" NOT NULL,
    ended      text    COLLATE "C" NOT NULL,  -- '' while the session lives, else 'time reason'
    bound_to   text    COLLATE "C" NOT NULL,  -- what a renewal must show: 'kind key', '' for nothing
    details    text    COLLATE "C" NOT NULL   -- JSON, or ''
) WITH (fillfactor = 85);

-- Without the id: a user has few sessions, which are put in order when they are
-- listed, and entries of one user then share a key.
CREATE INDEX tacet_sessions_user ON tacet_sessions (user_key);

-- User agents, stored once; id is a hash of the text. No foreign key leads
-- here: checking it would cost every renewal. Sweep removes what no session
-- refers to and nobody has used for long.
CREATE TABLE tacet_texts (
    id      bigint NOT NULL PRIMARY KEY,
    text    bytea  NOT NULL,                  -- it need not be UTF-8
    used_at bigint NOT NULL                   -- roughly: nodes remember texts for a while
);

CREATE TABLE tacet_users (
    id             text    COLLATE "C" NOT NULL PRIMARY KEY,
    name           text    COLLATE "C" NOT NULL UNIQUE,
    display_name   text    NOT NULL,
    email          text    NOT NULL,
    password_hash  text    NOT NULL,
    disabled       boolean NOT NULL,
    grants_version bigint  NOT NULL,
    credentials    bigint  NOT NULL,
    created_at     bigint  NOT NULL,
    issuer         text    COLLATE "C" NOT NULL,  -- who of an identity provider the user is, '' if nobody
    subject        text    COLLATE "C" NOT NULL,
    provider_roles text[]  NOT NULL               -- those of the roles that the provider gave
);

CREATE UNIQUE INDEX tacet_users_external ON tacet_users (issuer, subject) WHERE issuer <> '';

CREATE TABLE tacet_user_roles (
    user_id text COLLATE "C" NOT NULL,
    role    text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, role)
);

CREATE INDEX tacet_user_roles_role ON tacet_user_roles (role, user_id);

CREATE TABLE tacet_roles (
    name        text   COLLATE "C" NOT NULL PRIMARY KEY,
    permissions text[] NOT NULL
);

-- Rows keep the order of the ring.
CREATE TABLE tacet_keys (
    position   bigint NOT NULL PRIMARY KEY,
    id         bigint NOT NULL,
    use        text   NOT NULL,
    algorithm  text   NOT NULL,
    created_at bigint NOT NULL,
    active_at  bigint NOT NULL,
    retired_at bigint,
    sealed     bytea  NOT NULL
);

CREATE TABLE tacet_events (
    seq        bigint NOT NULL PRIMARY KEY,   -- from tacet_counters, in the order of commits
    at         bigint NOT NULL,
    kind       text   NOT NULL,
    user_id    text   NOT NULL,
    session_id text   NOT NULL,
    data       bytea  NOT NULL
);

CREATE TABLE tacet_counters (
    name  text   COLLATE "C" NOT NULL PRIMARY KEY,
    value bigint NOT NULL
);

-- compatible_from: a program that knows the schema of this number can run on this
-- one, though it is newer. What older programs could not live with raises it.
INSERT INTO tacet_counters (name, value) VALUES ('events', 0), ('directory', 0), ('key_ring', 0), ('checked', 0), ('compatible_from', 5);

-- Marks of transactions that were committed, for those who could not hear it.
CREATE TABLE tacet_attempts (
    id uuid   NOT NULL PRIMARY KEY,
    at bigint NOT NULL
);

-- Work that one node at a time does.
CREATE TABLE tacet_leases (
    name   text   COLLATE "C" NOT NULL PRIMARY KEY,
    holder uuid   NOT NULL,
    until  bigint NOT NULL
);

INSERT INTO tacet_leases (name, holder, until) VALUES ('sweep', '00000000-0000-0000-0000-000000000000', 0);

-- What is looked for has a column; the rest is one JSON object, as text, which
-- holds every character.
CREATE TABLE tacet_oauth_clients (
    id   text COLLATE "C" NOT NULL PRIMARY KEY,
    body text             NOT NULL
);

CREATE TABLE tacet_oauth_flows (
    key        bytea  NOT NULL PRIMARY KEY,      -- SHA-256 of the code
    user_code  text   COLLATE "C" UNIQUE,        -- NULL for authorization codes
    expires_at bigint NOT NULL,
    body       text   NOT NULL
);

CREATE INDEX tacet_oauth_flows_expiry ON tacet_oauth_flows (expires_at);

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

DROP TABLE tacet_notes, tacet_session_links, tacet_oauth_flows, tacet_oauth_clients,
    tacet_leases, tacet_attempts, tacet_counters, tacet_events, tacet_keys, tacet_roles, tacet_user_roles, tacet_users, tacet_texts, tacet_sessions;
