-- +goose Up

-- What a migration may do while older programs are at work, on the tables that
-- they use.
ALTER TABLE tacet_sessions ADD COLUMN future bigint NOT NULL DEFAULT 7;
ALTER TABLE tacet_documents ADD COLUMN future text;
CREATE TABLE tacet_future (
    id   uuid   NOT NULL PRIMARY KEY,
    at   bigint NOT NULL
);
CREATE INDEX tacet_future_at ON tacet_future (at);

-- +goose Down

DROP TABLE tacet_future;
ALTER TABLE tacet_documents DROP COLUMN future;
ALTER TABLE tacet_sessions DROP COLUMN future;
