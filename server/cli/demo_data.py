"""What the demo market begins with: who sells, where, and which goods. The same on every machine, ids included."""

# ruff: noqa: RUF001 - goods are described in many scripts

import random
from dataclasses import dataclass
from uuid import UUID

from protocols.listings.saved_searches import Condition
from storage.listings.listings_postgres import ListingRow

DEMO_SELLERS: dict[UUID, str] = {
    UUID("019aa000-0000-7000-8000-000000000001"): "Layla",
    UUID("019aa000-0000-7000-8000-000000000002"): "Jonas",
    UUID("019aa000-0000-7000-8000-000000000003"): "Mei",
    UUID("019aa000-0000-7000-8000-000000000004"): "Amara",
    UUID("019aa000-0000-7000-8000-000000000005"): "Diego",
}
"""The users who own the demo listings, and their names; nobody knows their passwords."""

DEMO_SELLER_IDS = tuple(DEMO_SELLERS)

LISTING_COUNT = 200

_FIRST_LISTED_AT_MS = 1_793_491_200_000
"""2026-11-01T00:00:00Z."""

_STEP_MS = 97 * 60_000
"""A listing every 97 minutes: two weeks of a small market."""


@dataclass(frozen=True, slots=True)
class City:
    """Where goods are; `euro` is what one euro cent is in the currency's minor units, roughly."""

    name: str
    lat: float
    lon: float
    currency: str
    euro: float


@dataclass(frozen=True, slots=True)
class Good:
    """A thing that sells; price in euro cents."""

    title: str
    description: str
    category: str
    euro_cents: int
    weight_g: int
    volume_cm3: int
    attributes: tuple[tuple[str, str | int | bool], ...] = ()


CITIES: tuple[City, ...] = (
    City("Berlin", 52.52, 13.405, "EUR", 1),
    City("Paris", 48.8566, 2.3522, "EUR", 1),
    City("London", 51.5074, -0.1278, "GBP", 0.86),
    City("Istanbul", 41.0082, 28.9784, "TRY", 48),
    City("Cairo", 30.0444, 31.2357, "EGP", 55),
    City("Riyadh", 24.7136, 46.6753, "SAR", 4.3),
    City("Dubai", 25.2048, 55.2708, "AED", 4.2),
    City("Amman", 31.9539, 35.9106, "USD", 1.15),
    City("Beirut", 33.8938, 35.5018, "USD", 1.15),
    City("Casablanca", 33.5731, -7.5898, "MAD", 10.7),
    City("Tunis", 36.8065, 10.1815, "EUR", 1),
    City("Madrid", 40.4168, -3.7038, "EUR", 1),
    City("Rome", 41.9028, 12.4964, "EUR", 1),
    City("Stockholm", 59.3293, 18.0686, "SEK", 11),
    City("New York", 40.7128, -74.006, "USD", 1.15),
    City("Toronto", 43.6532, -79.3832, "CAD", 1.6),
    City("São Paulo", -23.5505, -46.6333, "BRL", 6.2),
    City("Nairobi", -1.2921, 36.8219, "KES", 149),
    City("Tokyo", 35.6762, 139.6503, "JPY", 1.75),
    City("Kuala Lumpur", 3.139, 101.6869, "MYR", 4.9),
)

GOODS: tuple[Good, ...] = (
    Good(
        "Steel touring bicycle, 56 cm",
        "Lugged frame, three chainrings, new tyres and chain this spring. Racks front and rear. Some paint is gone"
        " from the top tube, nothing bent. Pedals come off for the journey.",
        "cycling",
        34_000,
        13_500,
        180_000,
        (("frame_cm", 56), ("gears", 24)),
    ),
    Good(
        "Folding bicycle with travel case",
        "Folds in half a minute and goes as ordinary luggage in its hard case. Serviced in October.",
        "cycling",
        62_000,
        12_200,
        95_000,
        (("gears", 8), ("case", True)),
    ),
    Good(
        "Mirrorless camera with 35 mm lens",
        "About 9,000 exposures. Two batteries, charger, strap. The sensor is clean; there is a small mark beside the"
        " viewfinder.",
        "cameras",
        71_000,
        720,
        2_400,
        (("megapixels", 24), ("lens_mm", 35)),
    ),
    Good(
        "Medium format film camera, 1970s",
        "Meter and shutter checked by a repairer, light seals replaced. With 80 mm lens and waist-level finder.",
        "cameras",
        48_000,
        1_700,
        5_000,
        (("format", "6x6"),),
    ),
    Good(
        "Leather travel bag, hand stitched",
        "Vegetable tanned, brass buckles, cotton lining. Fits the cabin of most airlines. It has a patina now.",
        "bags",
        14_500,
        2_300,
        42_000,
        (("colour", "cognac"), ("cabin", True)),
    ),
    Good(
        "حقيبة جلد طبيعي مصنوعة يدويا",
        "حقيبة كتف من الجلد الطبيعي، خياطة يدوية، بطانة قطنية. حالة ممتازة، استخدام خفيف.",
        "bags",
        9_800,
        1_100,
        14_000,
        (("colour", "بني"),),
    ),
    Good(
        "Noise-cancelling headphones",
        "Over ear, thirty hours on a charge, case and cable included. Ear pads were renewed last month.",
        "audio",
        16_900,
        260,
        3_600,
        (("wireless", True),),
    ),
    Good(
        "Turntable with two spare styluses",
        "Belt drive, both speeds steady. The lid has hairline scratches. Packed in its first box.",
        "audio",
        21_000,
        5_600,
        38_000,
    ),
    Good(
        "Laptop, 14 inch, 32 GB memory",
        "Bought for a project that ended. Battery at 96 percent, keyboard with English and Arabic letters.",
        "laptops",
        89_000,
        1_320,
        3_100,
        (("memory_gb", 32), ("screen_inch", 14)),
    ),
    Good(
        "Phone with 256 GB, unlocked",
        "Works with any network. Glass film since the first day, no scratches. Cable included, no charger.",
        "phones",
        43_000,
        190,
        500,
        (("storage_gb", 256), ("unlocked", True)),
    ),
    Good(
        "E-reader with cover",
        "Six-inch screen with warm light. A few thousand pages read. Cover closes with a magnet.",
        "tablets",
        7_200,
        290,
        700,
    ),
    Good(
        "Mechanical wristwatch, automatic",
        "Serviced a year ago, keeps time within six seconds a day. Sapphire glass, steel bracelet and a leather strap.",
        "watches",
        38_500,
        160,
        400,
        (("diameter_mm", 39), ("movement", "automatic")),
    ),
    Good(
        "Silver necklace with turquoise",
        "Made in a small workshop, hallmarked. Length can be set between 42 and 47 cm.",
        "jewellery",
        11_200,
        60,
        200,
        (("metal", "silver 925"),),
    ),
    Good(
        "Hiking boots, size 42, hardly worn",
        "Bought a size too small, worn twice on dry paths. Waterproof, sole can be renewed.",
        "shoes",
        9_400,
        1_450,
        11_000,
        (("size_eu", 42),),
    ),
    Good(
        "Embroidered kaftan, hand made",
        "Cotton and silk, embroidered along collar and sleeves. Size M to L, loosely cut.",
        "traditional-dress",
        13_000,
        900,
        6_000,
        (("size", "M"),),
    ),
    Good(
        "Wool coat, navy, size M",
        "Heavy Italian cloth, fully lined, dry-cleaned. One button was replaced and matches.",
        "womens-clothing",
        8_700,
        1_900,
        15_000,
        (("size", "M"),),
    ),
    Good(
        "Cast-iron teapot and four cups",
        "Enamelled inside, with its strainer. Heavy for its size; packed in wood wool.",
        "kitchen",
        6_400,
        2_800,
        9_000,
    ),
    Good(
        "Espresso machine, single boiler",
        "Group gasket and screen are new. With two baskets, tamper and a grinder that needs a burr.",
        "kitchen",
        26_000,
        8_900,
        34_000,
        (("voltage", 230),),
    ),
    Good(
        "Kilim, 120 x 180 cm, wool",
        "Flat woven, plant dyes, edges secured. Rolls to a parcel of forty centimetres when folded once.",
        "textiles",
        22_500,
        3_400,
        24_000,
        (("width_cm", 120), ("length_cm", 180)),
    ),
    Good(
        "Brass lamp with coloured glass",
        "Bazaar work, rewired with a European plug. All panes are whole.",
        "lighting",
        5_900,
        1_700,
        16_000,
    ),
    Good(
        "Set of Japanese chisels",
        "Six pieces from 6 to 36 mm, oak handles, flattened backs. Sharp enough to start work.",
        "tools",
        18_800,
        1_500,
        3_800,
        (("pieces", 6),),
    ),
    Good(
        "Baby carrier, newborn to 15 kg",
        "Used for one child, washed. Instructions included.",
        "baby",
        5_100,
        850,
        7_000,
    ),
    Good(
        "Wooden train with 60 pieces of track",
        "Beech, two bridges, a turntable and nine wagons. One wagon lost a wheel and got a new one.",
        "toys",
        4_300,
        3_100,
        14_000,
        (("pieces", 60),),
    ),
    Good(
        "Two-person tent, 1.9 kg",
        "Double wall, free standing, footprint included. Slept in for eleven nights.",
        "camping",
        19_500,
        1_900,
        9_500,
        (("persons", 2),),
    ),
    Good(
        "Climbing rope 60 m, unused",
        "Dynamic, 9.5 mm, still banded. Bought double by mistake.",
        "climbing",
        11_900,
        3_500,
        11_000,
        (("length_m", 60),),
    ),
    Good(
        "Chess set, boxwood and rosewood",
        "Weighted pieces, king 95 mm, folding board with storage. Felts are complete.",
        "board-games",
        8_900,
        2_400,
        9_000,
    ),
    Good(
        "Classical guitar, cedar top",
        "Warm and even, action lowered by a luthier. Soft case with straps. New strings.",
        "musical-instruments",
        31_500,
        2_600,
        85_000,
        (("scale_mm", 650),),
    ),
    Good(
        "عود دمشقي مع حقيبة",
        "عود شرقي من خشب الجوز، صوت دافئ، أوتار جديدة، مع حقيبة مبطنة.",
        "musical-instruments",
        36_000,
        1_200,
        60_000,
    ),
    Good(
        "Arabic dictionary in two volumes",
        "Cloth bound, pages clean, one signature on the flyleaf. Both volumes.",
        "books",
        5_600,
        2_900,
        5_200,
        (("language", "Arabic"),),
    ),
    Good(
        "Atlas of the world, 1962",
        "Large format, all plates present, spine repaired. Borders as they were then.",
        "maps",
        7_700,
        3_800,
        8_800,
        (("year", 1962),),
    ),
    Good(
        "Jazz records, forty pieces",
        "Mostly from the sixties, cleaned, in new inner sleeves. The list is sent on request.",
        "vinyl",
        24_000,
        10_500,
        30_000,
        (("pieces", 40),),
    ),
    Good(
        "漫画全集 二十五巻",
        "全巻初版、帯付き。カバーに少し日焼けがあります。",
        "comics",
        15_500,
        5_400,
        12_000,
        (("volumes", 25),),
    ),
    Good(
        "Stamps of the Levant, one album",
        "Some three hundred, hinged, a third of them before 1930. Condition varies.",
        "stamps",
        12_800,
        1_400,
        4_200,
    ),
    Good(
        "青花瓷茶具 六件套",
        "手绘青花瓷，一壶四杯一盘，无缺口，无裂纹。",
        "ceramics",
        9_900,
        2_100,
        8_200,
        (("pieces", 6),),
    ),
    Good(
        "Oud perfume oil, 12 ml",
        "Sealed bottle. Dark, dry, with rose after the first hour.",
        "perfume",
        6_900,
        80,
        150,
        (("volume_ml", 12),),
    ),
    Good(
        "Ajwa dates from Madinah, 3 kg",
        "This year's harvest, in three boxes of one kilogram. Best before next summer.",
        "dates-nuts",
        4_800,
        3_200,
        5_500,
        (("harvest", 2026),),
    ),
    Good(
        "Green coffee, Yirgacheffe, 5 kg",
        "Washed, screen 15, packed in a lined sack. For those who roast at home.",
        "coffee-tea",
        5_400,
        5_100,
        8_500,
    ),
    Good(
        "Saffron, 20 g, first cut",
        "Only the red ends of the threads. Tin with a seal and the harvest's number.",
        "spices",
        8_200,
        60,
        180,
        (("weight_g", 20),),
    ),
    Good(
        "Headlight for a 1985 estate car, left",
        "Glass without chips, reflector bright. Part number is in the picture.",
        "car-parts",
        7_400,
        2_700,
        14_000,
        (("side", "left"),),
    ),
    Good(
        "Adapter plugs and a surge protector",
        "A bag of what a traveller needs: four adapters, one multi-way block with a fuse.",
        "other",
        1_900,
        640,
        2_000,
    ),
)

_CONDITIONS: tuple[Condition, ...] = ("used", "like_new", "used", "new", "used", "for_parts")


def demo_listings() -> list[ListingRow]:
    """Return the demo listings, oldest first: every good in five cities, priced around its worth."""
    rng = random.Random(1)
    return [_demo_listing(place, rng) for place in range(LISTING_COUNT)]


def _demo_listing(place: int, rng: random.Random) -> ListingRow:
    good = GOODS[place % len(GOODS)]
    city = CITIES[(place * 7 + place // len(GOODS)) % len(CITIES)]
    listed_at_ms = _FIRST_LISTED_AT_MS + place * _STEP_MS
    condition = _CONDITIONS[place % len(_CONDITIONS)]
    worth = good.euro_cents * city.euro * rng.uniform(0.8, 1.2) * (0.3 if condition == "for_parts" else 1.0)
    return ListingRow(
        listing_id=_id_at(listed_at_ms, rng),
        seller_id=DEMO_SELLER_IDS[place % len(DEMO_SELLER_IDS)],
        status="active",
        version=1,
        title=good.title,
        description=f"{good.description}\n\n{city.name}",
        category=good.category,
        condition=condition,
        price_minor=max(100, round(worth / 100) * 100),
        currency=city.currency,
        lat=round(city.lat + rng.uniform(-0.05, 0.05), 5),
        lon=round(city.lon + rng.uniform(-0.05, 0.05), 5),
        weight_g=good.weight_g,
        volume_cm3=good.volume_cm3,
        quantity=rng.choice((1, 1, 1, 1, 2, 5)),
        attributes=dict(good.attributes),
        created_at_ms=listed_at_ms,
        updated_at_ms=listed_at_ms,
    )


def _id_at(instant_ms: int, rng: random.Random) -> UUID:
    """Return the UUIDv7 of an instant, its random part from the generator."""
    return UUID(
        int=(instant_ms << 80) | (0x7 << 76) | (rng.getrandbits(12) << 64) | (0x2 << 62) | rng.getrandbits(62)
    )
