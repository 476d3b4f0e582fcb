-- Listings, the category tree, and what search stands on.

-- One spelling for text that is stored for search and text that is searched for: compatibility forms unified, accents,
-- Arabic vowel marks and the tatweel removed, Arabic letter variants unified, lower case, and every ideograph a word of
-- its own, because the parser would take a whole Chinese or Japanese sentence for one word.
CREATE FUNCTION fold_text(original text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(
    translate(
        lower(normalize(
            regexp_replace(
                normalize(original, NFKD), '[\u0300-\u036f\u064b-\u065f\u0670\u0640]', '', 'g'
            ),
            NFKC
        )),
        'ىةیک', 'يهيك'
    ),
    '([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])', ' \1 ', 'g'
);

CREATE TABLE categories (
    slug text PRIMARY KEY,
    name text NOT NULL,
    parent_slug text REFERENCES categories (slug),
    place smallint NOT NULL
);

-- The price is two columns, both null when there is none. `version` is also the number of the newest event of the
-- stream `listings:<listing_id>`. Ids are UUIDv7: their order is the order of creation.
CREATE TABLE listings (
    listing_id uuid PRIMARY KEY,
    seller_id uuid NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'withdrawn', 'sold')),
    version int NOT NULL DEFAULT 1 CHECK (version > 0),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 140),
    description text NOT NULL CHECK (length(description) <= 10000),
    category text NOT NULL REFERENCES categories (slug),
    condition text NOT NULL CHECK (condition IN ('new', 'like_new', 'used', 'for_parts')),
    price_minor bigint CHECK (price_minor > 0),
    currency text CHECK (length(currency) = 3),
    location geography (Point, 4326),
    weight_g int CHECK (weight_g > 0),
    volume_cm3 int CHECK (volume_cm3 > 0),
    quantity int NOT NULL DEFAULT 1 CHECK (quantity BETWEEN 1 AND 10000),
    attributes json NOT NULL DEFAULT '{}',
    created_at_ms bigint NOT NULL,
    updated_at_ms bigint NOT NULL,
    title_folded text NOT NULL GENERATED ALWAYS AS (fold_text(title)) STORED,
    -- English stems find `bikes` by `bike`; plain words find every other language. Titles weigh more, stems a little less.
    words tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('simple', fold_text(title)), 'A')
        || setweight(to_tsvector('english', fold_text(title)), 'B')
        || setweight(to_tsvector('simple', fold_text(description)), 'C')
        || setweight(to_tsvector('english', fold_text(description)), 'D')
    ) STORED,
    CHECK ((price_minor IS NULL) = (currency IS NULL))
-- Words stay in the row as long as it fits a page: fetching them from beside the table doubled the cost of a search.
) WITH (toast_tuple_target = 8160);

-- Search. Without fastupdate no search pays for a list of pending inserts; an insert takes a little longer.
CREATE INDEX listings_words ON listings USING gin (words) WITH (fastupdate = off);
CREATE INDEX listings_title_similar ON listings USING gin (title_folded gin_trgm_ops) WITH (fastupdate = off);
CREATE INDEX listings_location ON listings USING gist (location);
CREATE INDEX listings_newest ON listings (listing_id) WHERE status = 'active';
CREATE INDEX listings_category ON listings (category, listing_id) WHERE status = 'active';
CREATE INDEX listings_seller ON listings (seller_id, listing_id);
-- Listings without a price come last in both directions: above the largest amount, or below the smallest.
CREATE INDEX listings_cheapest ON listings ((coalesce(price_minor, 9007199254740992)), listing_id)
    WHERE status = 'active';
CREATE INDEX listings_dearest ON listings ((coalesce(price_minor, 0)), listing_id) WHERE status = 'active';

INSERT INTO categories (slug, name, parent_slug, place) VALUES
    ('electronics', 'Electronics', NULL, 1),
    ('phones', 'Phones', 'electronics', 1),
    ('tablets', 'Tablets', 'electronics', 2),
    ('laptops', 'Laptops', 'electronics', 3),
    ('computers', 'Desktop computers', 'electronics', 4),
    ('components', 'Computer components', 'electronics', 5),
    ('cameras', 'Cameras and lenses', 'electronics', 6),
    ('audio', 'Audio and headphones', 'electronics', 7),
    ('television', 'Television and video', 'electronics', 8),
    ('consoles', 'Game consoles and games', 'electronics', 9),
    ('wearables', 'Smart watches and trackers', 'electronics', 10),
    ('electronics-accessories', 'Chargers, cables and accessories', 'electronics', 11),
    ('fashion', 'Fashion', NULL, 2),
    ('womens-clothing', 'Women''s clothing', 'fashion', 1),
    ('mens-clothing', 'Men''s clothing', 'fashion', 2),
    ('shoes', 'Shoes', 'fashion', 3),
    ('bags', 'Bags and luggage', 'fashion', 4),
    ('jewellery', 'Jewellery', 'fashion', 5),
    ('watches', 'Watches', 'fashion', 6),
    ('eyewear', 'Eyewear', 'fashion', 7),
    ('traditional-dress', 'Traditional dress', 'fashion', 8),
    ('home', 'Home and garden', NULL, 3),
    ('furniture', 'Furniture', 'home', 1),
    ('kitchen', 'Kitchen and dining', 'home', 2),
    ('appliances', 'Household appliances', 'home', 3),
    ('lighting', 'Lighting', 'home', 4),
    ('textiles', 'Textiles and carpets', 'home', 5),
    ('decoration', 'Decoration', 'home', 6),
    ('garden', 'Garden', 'home', 7),
    ('tools', 'Tools and workshop', 'home', 8),
    ('family', 'Children and family', NULL, 4),
    ('baby', 'Baby equipment', 'family', 1),
    ('toys', 'Toys', 'family', 2),
    ('childrens-clothing', 'Children''s clothing', 'family', 3),
    ('prams', 'Prams and child seats', 'family', 4),
    ('school', 'School supplies', 'family', 5),
    ('sports', 'Sports and outdoors', NULL, 5),
    ('cycling', 'Cycling', 'sports', 1),
    ('camping', 'Camping and hiking', 'sports', 2),
    ('fitness', 'Fitness', 'sports', 3),
    ('water-sports', 'Water sports', 'sports', 4),
    ('winter-sports', 'Winter sports', 'sports', 5),
    ('ball-sports', 'Ball sports', 'sports', 6),
    ('climbing', 'Climbing', 'sports', 7),
    ('hobbies', 'Hobbies and games', NULL, 6),
    ('board-games', 'Board games and puzzles', 'hobbies', 1),
    ('models', 'Models and miniatures', 'hobbies', 2),
    ('trading-cards', 'Trading cards', 'hobbies', 3),
    ('craft', 'Craft and sewing', 'hobbies', 4),
    ('musical-instruments', 'Musical instruments', 'hobbies', 5),
    ('art-supplies', 'Art supplies', 'hobbies', 6),
    ('media', 'Books, music and film', NULL, 7),
    ('books', 'Books', 'media', 1),
    ('textbooks', 'Textbooks', 'media', 2),
    ('comics', 'Comics and manga', 'media', 3),
    ('vinyl', 'Records', 'media', 4),
    ('discs', 'Music and film on disc', 'media', 5),
    ('maps', 'Maps and sheet music', 'media', 6),
    ('collectibles', 'Art and collectibles', NULL, 8),
    ('antiques', 'Antiques', 'collectibles', 1),
    ('coins', 'Coins', 'collectibles', 2),
    ('stamps', 'Stamps', 'collectibles', 3),
    ('paintings', 'Paintings and prints', 'collectibles', 4),
    ('memorabilia', 'Memorabilia', 'collectibles', 5),
    ('ceramics', 'Ceramics and glass', 'collectibles', 6),
    ('beauty', 'Beauty and health', NULL, 9),
    ('skincare', 'Skin care', 'beauty', 1),
    ('make-up', 'Make-up', 'beauty', 2),
    ('perfume', 'Perfume', 'beauty', 3),
    ('hair-care', 'Hair care', 'beauty', 4),
    ('health', 'Health and mobility aids', 'beauty', 5),
    ('food', 'Food and drink', NULL, 10),
    ('sweets', 'Sweets and chocolate', 'food', 1),
    ('coffee-tea', 'Coffee and tea', 'food', 2),
    ('spices', 'Spices and condiments', 'food', 3),
    ('dates-nuts', 'Dates, nuts and dried fruit', 'food', 4),
    ('regional-food', 'Regional specialities', 'food', 5),
    ('supplements', 'Food supplements', 'food', 6),
    ('vehicles', 'Vehicle parts', NULL, 11),
    ('car-parts', 'Car parts', 'vehicles', 1),
    ('motorcycle-parts', 'Motorcycle parts', 'vehicles', 2),
    ('bicycle-parts', 'Bicycle parts', 'vehicles', 3),
    ('tyres', 'Tyres and wheels', 'vehicles', 4),
    ('vehicle-electronics', 'Vehicle electronics', 'vehicles', 5),
    ('riding-gear', 'Riding gear', 'vehicles', 6),
    ('business', 'Business and industry', NULL, 12),
    ('office', 'Office supplies', 'business', 1),
    ('electronics-parts', 'Electronic parts and boards', 'business', 2),
    ('laboratory', 'Laboratory equipment', 'business', 3),
    ('medical', 'Medical equipment', 'business', 4),
    ('packaging', 'Packaging', 'business', 5),
    ('samples', 'Product samples', 'business', 6),
    ('pets', 'Pets', NULL, 13),
    ('dogs', 'For dogs', 'pets', 1),
    ('cats', 'For cats', 'pets', 2),
    ('aquariums', 'For aquariums', 'pets', 3),
    ('birds', 'For birds and small animals', 'pets', 4),
    ('other', 'Other', NULL, 14);
