"""The files that `new-command` and `new-domain` write; `$name` stands for a word of the command or domain."""

from string import Template

WORDS = Template('''"""Commands, queries and replies of $domain."""

from msgspec import Struct
''')

STRUCT = Template('''

class $struct(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say here what a client asks for."""
$fields''')

REPLY = Template('''

class $reply(Struct, frozen=True, kw_only=True):
    """Say here what a client is told."""
$reply_fields''')

HANDLER = Template('''"""Say in one line what `$name` does."""

from handlers.contract import Caller, Outcome, Stores
from $words import $struct


async def $verb(command: $struct, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Promise here what holds after it, then name the refusals: `Raises: …`."""
    raise NotImplementedError("$name decides nothing yet")
''')

ROUTE = Template("""    Route(
        domain="$domain",
        command=$struct,
        reply=$reply,
        function=$verb,
        method="$method",
        path="$path",
        permission=Permission.SIGNED_IN,
$options    ),
""")

TEST = Template('''"""`$name` keeps its promise, on real engines; it fails until the handler is written."""

${imports}from server.domains import DOMAINS
from tests.support.domains import open_market


async def test_${verb}_does_what_it_promises(database, redis):
    async with open_market(DOMAINS, database, redis) as market:
        caller = await market.new_user()
$calls''')

CALL = Template("""        answer = await market.call("$name", caller$given)
    assert answer == "say here what it answers"
""")

CALL_WITHOUT_REPLY = Template("""        answer = await market.call("$name", caller$given)
    assert answer is None  # then say here what holds afterwards
""")

CALL_WITH_KEY = Template("""        given = {$given}
        answer = await market.call("$name", caller, **given)
        assert answer == "say here what it answers"
        again = await market.call("$name", caller, **given)
    assert again == answer  # one key, one effect, one answer
""")

REFUSALS = Template('''"""What $domain refuse: numbers from $number on."""

from protocols.errors import Refusal


class ${struct}NotFound(Refusal):
    """There is no such $thing."""

    code, number, status = "${thing}_not_found", $number, 404
''')

DOMAIN = Template('''"""Say in one line what $domain are: the table of contents of the domain."""

from handlers.contract import Route
from handlers.domain import Domain

ROUTES: tuple[Route, ...] = ()

DOMAIN = Domain(name="$domain", routes=ROUTES)
''')

PACKAGE = Template('"""$what of $domain."""\n')

PAGE = Template("""# $title

Say here what $domain are for who uses them: what can be done, what is refused, and a request as an example.
""")

README_LINE = Template("- `docs/$domain.md` say here what $domain are.\n")
