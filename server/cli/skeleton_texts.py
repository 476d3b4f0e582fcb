"""The files that `new-command` and `new-domain` write; `$name` stands for a word of the command or domain."""

from string import Template

WORDS = Template('''"""Commands, queries and replies of $domain."""

from msgspec import Struct
''')

STRUCTS = Template('''

class $struct(Struct, frozen=True, kw_only=True):
    """Ask for `$name`: say here what a client asks for."""
$fields

class ${struct}Reply(Struct, frozen=True, kw_only=True):
    """What `$name` answers."""
''')

KEY_FIELD = '\n    key: Key = ""\n'

HANDLER = Template('''"""Say in one line what `$name` does."""

from handlers.contract import Caller, Outcome, Stores
from protocols.$domain.commands import $struct


async def $verb(command: $struct, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Promise here what holds after it, then name the refusals: `Raises: …`."""
    raise NotImplementedError("$name decides nothing yet")
''')

ROUTE = Template("""    Route(
        domain="$domain",
        command=$struct,
        reply=${struct}Reply,
        function=$verb,
        method="$method",
        path="/v1/$domain/$path",
        permission=Permission.SIGNED_IN,
$key    ),
""")

KEY_REQUIRED = '        key="required",\n'

SQL = Template("""-- $verb --
-- Say what it returns, which index it uses, which locks it takes. Returns 1 row.
SELECT $$1::uuid AS id;
""")

STORAGE = Template('''"""What `$name` reads and writes."""

from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "$verb.sql")


async def $verb(db: Connection, asked_id: UUID) -> UUID:
    """Return the id it is asked for. Cost: one round trip."""
    found: UUID = await db.fetchval(_sql.$verb, asked_id)
    return found
''')

TEST = Template('''"""`$name` keeps its promise, on a real database; it fails until the handler is written."""

from handlers.contract import Caller, Stores
from handlers.$domain.$verb import $verb
from protocols.$domain.commands import $struct, ${struct}Reply
from protocols.values import new_id, now_instant
from storage.engines.postgres import open_database


async def test_${verb}_does_what_it_promises(database, redis):
    opened = await open_database(database)
    try:
        async with opened.transaction() as db:
            stores = Stores(db, redis, "epoch")
            outcome = await $verb($struct(), Caller(new_id()), stores, now_instant())
    finally:
        await opened.close()
    assert outcome.reply == ${struct}Reply()
''')

DOMAIN = Template('''"""Say in one line what $domain are: the table of contents of the domain."""

from handlers.contract import Route
from handlers.domain import Domain

ROUTES: tuple[Route, ...] = ()

DOMAIN = Domain(name="$domain", routes=ROUTES)
''')

PACKAGE = Template('"""$what of $domain."""\n')
