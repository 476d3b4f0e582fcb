"""Demo people: accounts whose passwords nobody knows."""

import secrets

from handlers.contract import Caller
from handlers.domain import DemoMarket
from protocols.auth.commands import Register
from storage.auth.users_postgres import read_user_by_email

PEOPLE = ("Layla", "Jonas", "Mei", "Amara", "Diego")


def demo_email(name: str) -> str:
    """Return the address of a demo person; nothing can be delivered there."""
    return f"{name.lower()}@demo.invalid"


async def add_demo_people(market: DemoMarket) -> str:
    """Register who is missing; the others of the market act as `market.people`."""
    added = 0
    for name in PEOPLE:
        email = demo_email(name)
        async with market.connection() as db:
            known = await read_user_by_email(db, email)
        if known is None:
            register = Register(email=email, password=secrets.token_urlsafe(32), display_name=name)
            await market.run("auth.register", register, Caller())
            added += 1
            async with market.connection() as db:
                known = await read_user_by_email(db, email)
        assert known is not None, "who registered is there"
        market.people[name] = Caller(user_id=known.user_id)
    return f"{added} demo people"
