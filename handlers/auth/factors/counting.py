"""Codes of who is signed in: counted like passwords that are shown again."""

from msgspec import Struct

from handlers.auth.attempts import count, own_counters
from handlers.contract import Caller, Preparation, Stores
from protocols.auth.factors import CodeWrong, ConfirmTotp, RemoveTotp
from storage.auth.login_attempts_redis import Counter, give_back


class CountedCode(Struct, frozen=True):
    """A code, and what it is counted in until it has turned out right."""

    code: str
    counters: list[Counter]


async def prepare_code(command: ConfirmTotp | RemoveTotp, caller: Caller, before: Preparation) -> CountedCode:
    """Count the attempt. Raises RateLimited."""
    counters = own_counters(caller, before)
    await count(before, counters)
    return CountedCode(command.code, counters)


async def settle_code(command: CountedCode, stores: Stores, *, fits: bool) -> None:
    """Give the attempt back if the code was right. Raises CodeWrong."""
    if not fits:
        raise CodeWrong
    await give_back(stores.redis, command.counters)
