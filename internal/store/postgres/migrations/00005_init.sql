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

-- Everything that is not hot (package documents). Texts hold no NUL; a body may.
CREATE TABLE tacet_documents (
    kind       text   COLLATE "C" NOT NULL,
    key        text   COLLATE "C" NOT NULL,
    version    bigint NOT NULL,               -- grows with every change
    number     bigint NOT NULL,
    expires_at bigint,                        -- NULL: never
    indexed    text   COLLATE "C" NOT NULL,   -- its rows of tacet_document_values, as one text
    body       bytea  NOT NULL,
    PRIMARY KEY (kind, key)
);

CREATE INDEX tacet_documents_expiry ON tacet_documents (expires_at) WHERE expires_at IS NOT NULL;

-- What documents are found by. distinct_by is the key where several documents may
-- have the same value, and '' where only one may.
CREATE TABLE tacet_document_values (
    name        text COLLATE "C" NOT NULL,    -- kind.index
    value       text COLLATE "C" NOT NULL,
    distinct_by text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    PRIMARY KEY (name, value, distinct_by)
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
INSERT INTO tacet_counters (name, value) VALUES ('events', 0), ('directory', 0), ('checked', 0), ('compatible_from', 5);

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

DROP TABLE tacet_leases, tacet_attempts, tacet_counters, tacet_events, tacet_document_values, tacet_documents, tacet_texts,
    tacet_sessions;
