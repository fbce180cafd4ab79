-- +goose Up

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
    ended      text    COLLATE "C" NOT NULL   -- '' while the session lives, else 'time reason'
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
    created_at     bigint  NOT NULL
);

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

INSERT INTO tacet_counters (name, value) VALUES ('events', 0), ('directory', 0), ('key_ring', 0), ('checked', 0);

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

-- +goose Down

DROP TABLE tacet_leases;
DROP TABLE tacet_attempts;
DROP TABLE tacet_counters;
DROP TABLE tacet_events;
DROP TABLE tacet_keys;
DROP TABLE tacet_roles;
DROP TABLE tacet_user_roles;
DROP TABLE tacet_users;
DROP TABLE tacet_texts;
DROP TABLE tacet_sessions;
