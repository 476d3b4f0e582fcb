-- Exchange of currencies: the newest reference rates, what the market asks for, quotes.

CREATE TABLE exchange_rates (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    source text NOT NULL,
    as_of_ms bigint NOT NULL,
    fetched_at_ms bigint NOT NULL,
    -- Currency -> how much of it is one euro, as decimal text.
    rates jsonb NOT NULL
);

-- Null: the default. A row exists from the first exchange into a currency on; exchanges into it wait for each other there.
CREATE TABLE exchange_terms (
    currency text COLLATE "C" PRIMARY KEY,
    spread_bp int CHECK (spread_bp BETWEEN 0 AND 2000),
    stock_floor_minor bigint CHECK (stock_floor_minor <= 0)
);

CREATE TABLE exchange_quotes (
    quote_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL,
    sell_currency text COLLATE "C" NOT NULL,
    sell_minor bigint NOT NULL CHECK (sell_minor > 0),
    buy_currency text COLLATE "C" NOT NULL,
    gross_minor bigint NOT NULL,
    spread_minor bigint NOT NULL CHECK (spread_minor >= 0),
    stock_floor_minor bigint NOT NULL,
    created_at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL,
    used boolean NOT NULL DEFAULT false,
    -- Ids of its transfers, made before any is booked.
    sold_id uuid NOT NULL,
    bought_id uuid NOT NULL,
    spread_id uuid NOT NULL,
    CHECK (gross_minor > spread_minor),
    CHECK (sell_currency <> buy_currency)
);
CREATE INDEX exchange_quotes_old ON exchange_quotes (expires_at_ms);

INSERT INTO timers (due_at_ms, kind, ref) VALUES (0, 'refresh_rates', '00000000-0000-0000-0000-000000000000');
