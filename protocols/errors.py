"""The error catalogue: every expected "no" is a class with a word, a number and an HTTP status.

A `Refusal` changes nothing and is answered to its caller on either door. A `Fault` is a refusal whose cause is a
machine outside us; it is temporary. Classes register themselves; `CATALOGUE` is what `GET /v1/errors` prints.
Numbers are 400-1999 (the range the realtime protocol leaves to applications), never reused; `BLOCKS` deals them out.
"""

from typing import Any, ClassVar

CATALOGUE: dict[str, type["Refusal"]] = {}
"""Every refusal by its code word."""

BLOCKS = {
    "general": 400,
    "auth": 500,
    "listings": 600,
    "auctions": 700,
    "payments": 800,
    "crowdship": 900,
    "matching": 1000,
    "trips": 1100,
    "recommendations": 1200,
    "rewards": 1300,
    "notifications": 1400,
    "orders": 1500,
    "kyc": 1600,
    "swaps": 1700,
    "ledger": 1800,
}
"""The first number of each domain. These have a hundred; a new domain has ten of 1900-1989, which `new-domain` enters
here. 1990-1999 are for examples and tests."""


def free_number(first: int) -> int:
    """Return the lowest number from `first` on that no refusal has."""
    taken = {known.number for known in CATALOGUE.values()}
    return next(number for number in range(first, len(taken) + first + 1) if number not in taken)


class Refusal(Exception):  # noqa: N818 - an expected "no" is not an error
    """The command was refused and nothing changed."""

    code: ClassVar[str] = ""
    number: ClassVar[int] = 0
    status: ClassVar[int] = 400
    temporary: ClassVar[bool] = False
    example: ClassVar[dict[str, Any]] = {}
    """The facts it carries, each with a value as the interface documents show it."""

    def __init__(self, detail: str = "", /, **facts: Any) -> None:  # noqa: ANN401 - facts are any JSON values
        """Keep the sentence shown to the caller and the named facts that travel beside it (`minimum_bid=…`)."""
        self.detail = detail or (self.__doc__ or "").splitlines()[0]
        self.facts = facts
        super().__init__(self.detail)

    def __init_subclass__(cls) -> None:
        """Enter the class into the catalogue; a second owner of a word or number is a bug."""
        super().__init_subclass__()
        if not cls.code:
            return
        for known in CATALOGUE.values():
            if cls.code == known.code:
                raise RuntimeError(f"{cls.__qualname__}: {known.__module__} has the code {cls.code} already")
            if cls.number == known.number:
                free = free_number(cls.number)
                raise RuntimeError(
                    f"{cls.code}: {cls.number} is {known.code} of {known.__module__}; {free} is free"
                )
        if not 400 <= cls.number <= 1999:
            raise RuntimeError(f"{cls.code}: {cls.number} is out of 400-1999; BLOCKS says which are yours")
        CATALOGUE[cls.code] = cls


class Fault(Refusal):
    """A machine outside the server failed; try again."""

    temporary = True


class InvalidInput(Refusal):
    """The input does not fit the schema; `errors` names each place."""

    code, number, status = "invalid_input", 400, 400
    example: ClassVar[dict[str, Any]] = {"errors": [{"pointer": "/limit", "detail": "Expected `int` <= 100"}]}


class Unauthenticated(Refusal):
    """Sign in first: this needs a valid access token."""

    code, number, status = "unauthenticated", 401, 401


class NotAllowed(Refusal):
    """You are signed in, but this is not yours to do."""

    code, number, status = "not_allowed", 402, 403


class NotFound(Refusal):
    """There is nothing at this address."""

    code, number, status = "not_found", 403, 404


class MethodNotAllowed(Refusal):
    """This address exists, but not for this HTTP method."""

    code, number, status = "method_not_allowed", 404, 405


class PayloadTooLarge(Refusal):
    """The request is larger than the server accepts."""

    code, number, status = "payload_too_large", 405, 413
    example: ClassVar[dict[str, Any]] = {"maximum_bytes": 262_144}


class UnsupportedMediaType(Refusal):
    """The body is of a media type or content coding that is not taken here."""

    code, number, status = "unsupported_media_type", 406, 415


class KeyRequired(Refusal):
    """This command needs an idempotency key: header `Idempotency-Key`, or field `key` over RPC."""

    code, number, status = "key_required", 407, 400


class KeyReused(Refusal):
    """This idempotency key was used before with another payload; make a new key."""

    code, number, status = "key_reused", 408, 422


class KeyInFlight(Refusal):
    """The first request with this idempotency key is still running; ask again shortly."""

    code, number, status, temporary = "key_in_flight", 409, 409, True


class Stale(Refusal):
    """The resource changed since you read it; read it again and repeat."""

    code, number, status = "stale", 410, 412
    example: ClassVar[dict[str, Any]] = {
        "version": 4,
        "price": {"amount": 4900, "currency": "EUR"},
        "saleable": 2,
    }
    """Price and pieces left are told to who would have reserved on other terms."""


class RateLimited(Refusal):
    """Too many requests; wait `retry_after_s`."""

    code, number, status, temporary = "rate_limited", 411, 429, True
    example: ClassVar[dict[str, Any]] = {"retry_after_s": 2}


class UnknownChannel(Refusal):
    """There is no such channel."""

    code, number, status = "unknown_channel", 412, 404


class HeadTooLarge(Refusal):
    """The request's headers are larger than the server accepts."""

    code, number, status = "head_too_large", 414, 431


class UriTooLong(Refusal):
    """The request's address is longer than the server accepts."""

    code, number, status = "uri_too_long", 415, 414


class RequestTimeout(Refusal):
    """The request did not arrive in time; send it again."""

    code, number, status, temporary = "request_timeout", 416, 408, True


class TemporarilyUnavailable(Fault):
    """A part of the server is out of reach; nothing is known to have changed. Try again with the same key."""

    code, number, status = "temporarily_unavailable", 450, 503
    example: ClassVar[dict[str, Any]] = {"retry_after_s": 5}


class Internal(Fault):
    """The server made a mistake; it was logged under the trace id."""

    code, number, status = "internal", 451, 500
