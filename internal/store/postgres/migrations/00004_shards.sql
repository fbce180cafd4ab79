-- +goose Up

-- A program that knows the schema of this number can run on this one, though it
-- is newer. A migration that older programs could not live with raises it.
INSERT INTO tacet_counters (name, value) VALUES ('compatible_from', 2);

-- +goose Down

DELETE FROM tacet_counters WHERE name = 'compatible_from';
