"""The operations that are not commands, for the OpenAPI document: channels, catalogue, keys, health."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.auth.commands import ScopeTokenOver, SessionOver, TokenExpired, TokenInvalid
from protocols.channels import ChannelEvents, PollChannel
from protocols.errors import NotAllowed, Refusal, Unauthenticated, UnknownChannel
from protocols.goods import SIZES, file_name
from protocols.ledger.refusals import TileNotFound
from protocols.listings.photos import PhotoNotFound
from server.schemas.components import Components, Schema
from server.schemas.examples import ID, Examples
from server.schemas.problems import GENERAL_REFUSALS, header_refs, problem_responses


class CatalogueEntry(Struct):
    """One refusal."""

    code: Annotated[str, Meta(examples=["bid_too_low"])]
    number: Annotated[int, Meta(ge=400, le=1999)]
    status: Annotated[int, Meta(ge=400, le=599)]
    temporary: bool
    """The same request may succeed later."""
    title: Annotated[str, Meta(examples=["There is nothing at this address."])]


class ErrorCatalogue(Struct):
    """Every refusal, ascending by number."""

    items: list[CatalogueEntry]
    next_cursor: None


class SigningKey(Struct):
    """A public Ed25519 key. Source: RFC 8037."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Annotated[str, Meta(examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"])]
    kid: str


class SigningKeys(Struct):
    """The keys that sign access tokens, and those that soon will. Source: RFC 7517."""

    keys: list[SigningKey]


class Liveness(Struct):
    """The process answers."""

    status: Literal["live"]


class Readiness(Struct):
    """Whether the process can serve, and the state of each part."""

    status: Literal["ready", "not_ready", "leaving"]
    degraded: list[Annotated[str, Meta(examples=["redis"])]]
    """Parts that fail. Without PostgreSQL the process is not ready; without Redis or NATS it serves, commands included,
    and something is slower or missing meanwhile."""
    parts: dict[str, Annotated[str, Meta(examples=["ok"])]]
    """`ok`, `timeout` or `failing`; or a word of its own for what is no fault: `not_configured`, `test_money`."""


OWN_TYPES = (PollChannel, ChannelEvents, ErrorCatalogue, SigningKeys, Liveness, Readiness)
"""Types of these operations."""


def own_paths(components: Components, examples: Examples) -> dict[str, Schema]:
    """Return the operations by path."""
    own = _OwnPages(components, examples)
    return {
        "/v1/channels/{channel}/events": own.poll_channel(),
        "/v1/photos/{name}": own.photo(),
        "/v1/ledger/tile/{level}/{index}": own.tile(),
        "/v1/errors": own.page("list_errors", "Every code word with its number and status.", ErrorCatalogue),
        "/.well-known/jwks.json": own.page(
            "list_keys", "Public keys that sign access tokens (RFC 7517).", SigningKeys
        ),
        "/health/live": own.page("live", "The process answers.", Liveness),
        "/health/ready": own.page(
            "ready",
            "The process can serve; 503 while it cannot. Names the parts that fail.",
            Readiness,
            further=("503",),
        ),
    }


class _OwnPages:
    """Describes pages."""

    def __init__(self, components: Components, examples: Examples) -> None:
        self._components = components
        self._examples = examples

    def poll_channel(self) -> Schema:
        """Return the long poll of a channel."""
        poll = self._components.resolve(self._components.schema(PollChannel))
        parameters = [
            {
                "name": name,
                "in": "path" if name == "channel" else "query",
                "required": name == "channel",
                "schema": schema,
                "example": self._examples.field(name, schema),
            }
            for name, schema in poll["properties"].items()
        ]
        parameters.append(
            {
                "name": "Channel-Token",
                "in": "header",
                "required": False,
                "description": "A scope token; the answer is what its issuer may read.",
                "schema": {"type": "string", "maxLength": 4096},
                "example": "eyJhbGciOiJFZERTQSJ9.eyJhdWQiOiJjaGFubmVscyJ9.c2lnbmF0dXJl",
            }
        )
        return self._operation(
            "poll_channel",
            "Events of a replayed channel after an offset; waits up to `wait_s` for the first. A position that it does"
            " not have is answered at once: `recovered` is false, `offset` its end.",
            {"200": ChannelEvents},
            refusals=[
                *GENERAL_REFUSALS,
                Unauthenticated,
                NotAllowed,
                UnknownChannel,
                TokenInvalid,
                TokenExpired,
                SessionOver,
                ScopeTokenOver,
            ],
            security=[{}, {"bearer": []}],
            parameters=parameters,
        )

    def photo(self) -> Schema:
        """Return the page of a photo's file."""
        operation = self._operation(
            "read_photo",
            "A file of a photo, named by its listing; it never changes. A draft's is its owner's alone.",
            {},
            refusals=[*GENERAL_REFUSALS, Unauthenticated, PhotoNotFound],
            security=[{}, {"bearer": []}],
            parameters=[
                {
                    "name": "name",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string"},
                    "example": file_name(UUID(ID), SIZES[0]),
                }
            ],
        )
        headers = header_refs("X-Request-Id", "ETag")
        operation["get"]["responses"] |= {
            "200": {
                "description": HTTPStatus.OK.phrase,
                "headers": headers,
                "content": {"image/jpeg": {}},
            },
            "304": {"description": "The reader has it already.", "headers": headers},
        }
        return operation

    def tile(self) -> Schema:
        """Return the page of a tile of the transparency log."""
        operation = self._operation(
            "read_tile",
            "A tile of the transparency log's tree: up to 256 hashes of 32 bytes; it never changes. `level` is 0 to 63,"
            " or `entries` for bundles of what was logged, which administrators may read. `index` is in groups of three"
            " digits, `x001/x234/067`, and ends in `.p/` and a width for a partial tile. Source: C2SP tlog-tiles.",
            {},
            refusals=[*GENERAL_REFUSALS, Unauthenticated, NotAllowed, TileNotFound],
            security=[{}, {"bearer": []}],
            parameters=[
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "example": shown}
                for name, shown in (("level", "0"), ("index", "000"))
            ],
        )
        headers = header_refs("X-Request-Id", "ETag")
        operation["get"]["responses"] |= {
            "200": {
                "description": HTTPStatus.OK.phrase,
                "headers": headers,
                "content": {"application/octet-stream": {}},
            },
            "304": {"description": "The reader has it already.", "headers": headers},
        }
        return operation

    def page(self, name: str, summary: str, kind: type[Struct], further: Sequence[str] = ()) -> Schema:
        """Return a page without parameters."""
        return self._operation(name, summary, dict.fromkeys(("200", *further), kind))

    def _operation(
        self,
        name: str,
        summary: str,
        answers: Mapping[str, type[Struct]],
        refusals: Sequence[type[Refusal]] = (),
        **more: Any,  # noqa: ANN401 - members of an operation object
    ) -> Schema:
        responses = {
            status: {
                "description": HTTPStatus(int(status)).phrase,
                "headers": header_refs("X-Request-Id"),
                "content": {"application/json": self._content(kind)},
            }
            for status, kind in answers.items()
        }
        return {
            "get": {
                "operationId": f"server.{name}",
                "tags": ["server"],
                "summary": summary,
                "responses": {**responses, **problem_responses(refusals)},
                "security": [{}],
                **more,
            }
        }

    def _content(self, kind: type[Struct]) -> Schema:
        schema = self._components.schema(kind)
        return {"schema": schema, "example": self._examples.answer(schema)}
