"""The fixtures give what they promise: migrated, fresh, real engines."""

import nats

from storage.platform.migrate import list_migrations, migrate


async def test_database_is_migrated_and_a_second_migration_applies_nothing(database, pool):
    applied = [row["name"] for row in await pool.fetch("SELECT name FROM schema_migrations ORDER BY name")]
    assert applied == [m.name for m in list_migrations()]
    assert await migrate(database) == []


async def test_database_has_an_epoch_of_its_own(pool, engines):
    assert len(await pool.fetchval("SELECT epoch FROM database_epoch")) == 8


async def test_redis_is_empty_and_answers(redis):
    assert await redis.dbsize() == 0
    await redis.set("key", "value")
    assert await redis.get("key") == b"value"


async def test_nats_has_jetstream_and_no_streams(nats_url):
    client = await nats.connect(nats_url)
    assert await client.jetstream().streams_info() == []
    await client.close()
