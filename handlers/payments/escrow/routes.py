"""The routes of escrows: for their parties, and for support."""

from handlers.contract import Permission, Route
from handlers.payments.escrow.freeze_escrow import freeze_escrow
from handlers.payments.escrow.get_escrow import get_escrow
from handlers.payments.escrow.list_escrows import list_escrows
from handlers.payments.escrow.refund_escrow import refund_escrow
from handlers.payments.escrow.release_escrow import release_escrow
from handlers.payments.escrow.resolve_escrow import resolve_escrow
from handlers.payments.escrow.unfreeze_escrow import unfreeze_escrow
from protocols.errors import InvalidInput, NotAllowed
from protocols.payments import escrow_commands as words
from protocols.payments.refusals import (
    EscrowFrozen,
    EscrowNotFound,
    EscrowNotFrozen,
    EscrowReleased,
    EscrowTooSmall,
)

ROUTES = (
    Route(
        domain="payments",
        command=words.GetEscrow,
        reply=words.EscrowView,
        function=get_escrow,
        method="GET",
        path="/v1/escrows/{escrow_id}",
        permission=Permission.SIGNED_IN,
        etag=True,
        refusals=(EscrowNotFound,),
    ),
    Route(
        domain="payments",
        command=words.ListEscrows,
        reply=words.EscrowList,
        function=list_escrows,
        method="GET",
        path="/v1/escrows",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(InvalidInput,),
    ),
    Route(
        domain="payments",
        command=words.ReleaseOwnEscrow,
        reply=words.EscrowView,
        function=release_escrow,
        method="POST",
        path="/v1/escrows/{escrow_id}/release",
        permission=Permission.SIGNED_IN,
        key="required",
        cost=5,
        refusals=(EscrowNotFound, NotAllowed, EscrowFrozen, EscrowReleased, EscrowTooSmall),
    ),
    Route(
        domain="payments",
        command=words.RefundReceivedEscrow,
        reply=words.EscrowView,
        function=refund_escrow,
        method="POST",
        path="/v1/escrows/{escrow_id}/refund",
        permission=Permission.SIGNED_IN,
        key="required",
        cost=5,
        refusals=(EscrowNotFound, NotAllowed, EscrowFrozen, EscrowReleased),
    ),
    Route(
        domain="payments",
        command=words.FreezeOpenEscrow,
        reply=words.EscrowView,
        function=freeze_escrow,
        method="POST",
        path="/v1/admin/escrows/{escrow_id}/freeze",
        permission=Permission.SUPPORT,
        key="required",
        cost=2,
        refusals=(EscrowNotFound, EscrowFrozen, EscrowReleased),
    ),
    Route(
        domain="payments",
        command=words.UnfreezeFrozenEscrow,
        reply=words.EscrowView,
        function=unfreeze_escrow,
        method="POST",
        path="/v1/admin/escrows/{escrow_id}/unfreeze",
        permission=Permission.SUPPORT,
        key="required",
        cost=2,
        refusals=(EscrowNotFound, EscrowNotFrozen, EscrowReleased),
    ),
    Route(
        domain="payments",
        command=words.ResolveFrozenEscrow,
        reply=words.EscrowView,
        function=resolve_escrow,
        method="POST",
        path="/v1/admin/escrows/{escrow_id}/resolve",
        permission=Permission.SUPPORT,
        key="required",
        cost=5,
        refusals=(EscrowNotFound, EscrowNotFrozen, EscrowReleased, EscrowTooSmall),
    ),
)
