"""The `Location` of what a command has made: the address where it is read. Source: RFC 9110 section 15.3.2."""

from collections.abc import Callable, Iterable
from http import HTTPStatus

import msgspec

from handlers.contract import Route
from server.http.arguments import path_fields

Locate = Callable[[bytes], bytes]
"""The address of what an answer's body describes."""


def locator(route: Route, routes: Iterable[Route]) -> Locate | None:
    """Return how to address what a route makes; None for one that makes nothing which has an address of its own.

    What a POST to `…/goods-rules` has made is read at `…/goods-rules/{rule_id}`, by that field of the reply or `id`.
    """
    if route.status != HTTPStatus.CREATED or route.reply is None:
        return None
    collection = route.path.rpartition("/")[2]
    for other in routes:
        start, _, last = other.path.rpartition("/")
        if other.is_query and last.startswith("{") and start.endswith(f"/{collection}"):
            names = path_fields(other)
            field = names[0] if names[0] in route.reply.__struct_fields__ else "id"
            if len(names) == 1 and field in route.reply.__struct_fields__:
                return _from_body(f"{start}/", field)
    return None


def _from_body(start: str, field: str) -> Locate:
    decode = msgspec.json.Decoder(msgspec.defstruct("Made", [(field, str)])).decode
    return lambda body: f"{start}{getattr(decode(body), field)}".encode()
