-- How far each follower has copied: all events of transactions below `transaction_id`, and all messages up to `sequence`
-- of the JetStream stream that was made at `stream`.
CREATE TABLE followers (
    name text COLLATE "C" PRIMARY KEY,
    transaction_id bigint NOT NULL,
    stream text NOT NULL,
    sequence bigint NOT NULL
);
