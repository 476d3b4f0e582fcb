"""Timer: the test provider goes on by itself: a slow card pays, a cardholder disputes, a bank answers."""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores
from storage.payments.built_in_objects import lock_object
from storage.payments.built_in_rules import go_on


async def continue_test_object(
    refs: Sequence[UUID],
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - the timer is due
) -> list[Outcome]:
    """Let these objects go on; one that has done so stays as it is."""
    for object_id in sorted(dict.fromkeys(refs)):
        found = await lock_object(stores.db, object_id)
        if found is not None:
            await go_on(stores.db, found)
    return []
