"""The channel of the market's books, for operators."""

from uuid import UUID

from handlers.contract import Caller, Permission
from handlers.domain import ChannelKind
from protocols.payments.channels import TREASURY
from protocols.payments.events import EVENTS
from protocols.topics import Lane
from storage.engines.postgres import Connection


async def may_see_treasury(_db: Connection, _treasury: UUID, caller: Caller) -> bool:
    """Return whether the caller may read the treasury, too."""
    return Permission.FINANCE.value in caller.roles


CHANNELS = (
    ChannelKind(
        word=TREASURY,
        parameter="",
        lane=Lane.REPLAYED,
        readers="people with the role admin",
        single=True,
        member=may_see_treasury,
        events=EVENTS,
    ),
)
