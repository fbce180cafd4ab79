-- +goose Up

-- A program that knows the schema of this number can run on this one, though it
-- is newer. What older programs could not live with raises it.
INSERT INTO tacet_counters (name, value) VALUES ('compatible_from', 2);

-- Which database this is among those that work together, once it does: at most
-- one row.
CREATE TABLE tacet_database (
    one     bigint NOT NULL PRIMARY KEY,      -- 1
    id      uuid   NOT NULL,                  -- of this database
    cluster uuid   NOT NULL,                  -- id of the home
    shard   bigint NOT NULL                   -- 0: the home; -1: it is being added
);

-- In the home: the shards, and how far their events were taken over.
CREATE TABLE tacet_shards (
    number   bigint NOT NULL PRIMARY KEY,     -- never given twice: sessions carry it
    id       uuid   NOT NULL UNIQUE,
    state    text   COLLATE "C" NOT NULL,     -- postgres.ShardState
    state_at bigint NOT NULL,                 -- since when
    relayed  bigint NOT NULL,                 -- number, in the shard, of the last event that is in the home
    mark     bigint NOT NULL                  -- what that event was
);

-- +goose Down

-- +goose StatementBegin
DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM tacet_shards WHERE number > 0 AND state <> 'removed') THEN
        RAISE EXCEPTION 'there are shards, of which older programs know nothing: drain and remove them first (tacet shard)';
    END IF;
END $$;
-- +goose StatementEnd
DROP TABLE tacet_shards;
DROP TABLE tacet_database;
DELETE FROM tacet_counters WHERE name = 'compatible_from';
