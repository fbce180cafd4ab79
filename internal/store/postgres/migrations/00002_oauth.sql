-- +goose Up

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

-- +goose Down
DROP TABLE tacet_oauth_clients, tacet_oauth_flows;
