-- What may not be brought where: rules as data, every version kept. Country `*` is everywhere. The rules below are a
-- beginning of general facts; what holds today in a country is for its operator to set.

CREATE TABLE goods_rules (
    rule_id uuid NOT NULL,
    version int NOT NULL,
    is_newest boolean NOT NULL DEFAULT true,
    removed boolean NOT NULL DEFAULT false,
    country text NOT NULL CHECK (country = '*' OR length(country) = 2),
    category text REFERENCES categories (slug),
    words text NOT NULL CHECK (length(words) <= 500),
    kind text NOT NULL CHECK (kind IN ('prohibited', 'restricted')),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 300),
    set_by uuid,
    set_at_ms bigint NOT NULL,
    -- As a search reads words: stems or plain ones.
    query tsquery GENERATED ALWAYS AS (
        CASE WHEN words <> '' THEN
            websearch_to_tsquery('english', fold_text(words)) || websearch_to_tsquery('simple', fold_text(words))
        END
    ) STORED,
    PRIMARY KEY (rule_id, version),
    CHECK (category IS NOT NULL OR words <> '')
);
CREATE UNIQUE INDEX goods_rules_newest ON goods_rules (rule_id) WHERE is_newest;
CREATE INDEX goods_rules_country ON goods_rules (country) WHERE is_newest AND NOT removed;

INSERT INTO goods_rules (rule_id, version, country, category, words, kind, reason, source, set_at_ms) VALUES
    ('019aa100-0000-7000-8000-000000000001', 1, '*', NULL,
     '"assault rifle" or "semi automatic pistol" or "live ammunition" or "hand grenade" or "gun silencer"', 'prohibited',
     'Weapons and ammunition are carried by licensed firms alone.',
     'International air transport rules for dangerous goods; national arms laws', 0),
    ('019aa100-0000-7000-8000-000000000002', 1, '*', NULL,
     '"elephant ivory" or "ivory tusk" or "ivory carving" or "rhino horn" or "rhinoceros horn"', 'prohibited',
     'International trade in ivory and rhinoceros horn is banned.', 'CITES, Appendix I', 0),
    ('019aa100-0000-7000-8000-000000000003', 1, '*', NULL,
     '"tiger skin" or "tiger bone" or "sea turtle shell" or "shahtoosh" or "pangolin scales"', 'prohibited',
     'International trade in products of these animals is banned.', 'CITES, Appendix I', 0),
    ('019aa100-0000-7000-8000-000000000004', 1, '*', NULL,
     '"live animal" or "live animals" or "live puppy" or "live kitten" or "live parrot" or "live reptile"', 'prohibited',
     'Animals do not travel with strangers.', 'Veterinary border rules; conditions of carriage', 0),
    ('019aa100-0000-7000-8000-000000000005', 1, '*', NULL,
     '"counterfeit money" or "counterfeit currency" or "counterfeit banknotes" or "fake banknotes" or "forged banknotes"',
     'prohibited', 'Counterfeit currency is a crime everywhere.',
     'International Convention for the Suppression of Counterfeiting Currency, 1929', 0),
    ('019aa100-0000-7000-8000-000000000006', 1, '*', NULL,
     '"fake passport" or "forged passport" or "fake visa" or "forged visa" or "fake identity card"', 'prohibited',
     'Forged documents are a crime everywhere.', 'National criminal laws', 0),
    ('019aa100-0000-7000-8000-000000000007', 1, '*', NULL,
     '"cocaine powder" or "heroin powder" or "crystal meth" or "ecstasy pills" or "lsd blotter"', 'prohibited',
     'Narcotic drugs are under international control.', 'United Nations drug conventions, 1961 and 1971', 0),
    ('019aa100-0000-7000-8000-000000000008', 1, '*', NULL, 'fireworks or firecrackers or gunpowder or dynamite',
     'restricted', 'Explosives may not be taken on board an aircraft.',
     'International air transport rules for dangerous goods, class 1', 0),
    ('019aa100-0000-7000-8000-000000000009', 1, '*', NULL, '"power bank" or "lithium battery" or "lithium batteries"',
     'restricted', 'Spare lithium batteries go into cabin baggage, up to 100 Wh without asking the airline.',
     'International air transport rules for dangerous goods, passengers'' provisions', 0),
    ('019aa100-0000-7000-8000-000000000010', 1, 'SA', NULL, 'whisky or whiskey or vodka or liquor or "bottle of wine"',
     'prohibited', 'Alcoholic drinks may not be imported.', 'National customs law, list of prohibited goods', 0),
    ('019aa100-0000-7000-8000-000000000011', 1, 'KW', NULL, 'whisky or whiskey or vodka or liquor or "bottle of wine"',
     'prohibited', 'Alcoholic drinks may not be imported.', 'National customs law, list of prohibited goods', 0),
    ('019aa100-0000-7000-8000-000000000012', 1, 'SG', NULL, '"chewing gum"', 'prohibited',
     'Chewing gum may not be imported, therapeutic gum excepted.', 'National customs, controlled and prohibited goods', 0),
    ('019aa100-0000-7000-8000-000000000013', 1, 'SG', NULL, '"electronic cigarette" or "e cigarette" or vaporiser',
     'prohibited', 'Electronic cigarettes may not be imported.', 'National customs, controlled and prohibited goods', 0),
    ('019aa100-0000-7000-8000-000000000014', 1, 'TH', NULL, '"electronic cigarette" or "e cigarette" or vaporiser',
     'prohibited', 'Electronic cigarettes may not be imported.', 'National customs, prohibited goods', 0),
    ('019aa100-0000-7000-8000-000000000015', 1, 'IN', NULL, '"electronic cigarette" or "e cigarette" or vaporiser',
     'prohibited', 'Electronic cigarettes may not be imported.', 'Prohibition of Electronic Cigarettes Act, 2019', 0),
    ('019aa100-0000-7000-8000-000000000016', 1, 'AU', 'food', '', 'restricted',
     'Food is declared on arrival and may be taken away.', 'National biosecurity rules for travellers', 0),
    ('019aa100-0000-7000-8000-000000000017', 1, 'NZ', 'food', '', 'restricted',
     'Food is declared on arrival and may be taken away.', 'National biosecurity rules for travellers', 0);
