"""Idempotency keys of one batch: which calls are new, which repeat a kept answer, which repeat each other.

The first answer of a key is kept in the transaction of its effect, so a repeat finds it whatever died in between. What
a command said is kept as a keyed digest; an answer for the caller's eyes alone is kept encrypted.
"""

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from handlers.contract import Call, Outcome, Route
from protocols.errors import Internal, KeyReused, Refusal
from protocols.values import to_json
from storage.platform.idempotency_postgres import KeptAnswer
from storage.platform.vault import Vault


class Answer(Struct, frozen=True, gc=False):
    """The answer to a command, over RPC or REST."""

    status: int
    body: bytes
    replayed: bool = False


def key_of(call: Call[Any]) -> tuple[UUID, str] | None:
    """Return whose key and which, of a keyed call."""
    key = getattr(call.command, "key", "")
    return (call.caller.id, key) if key else None


def _fingerprint(route: Route, command: Struct, vault: Vault | None) -> bytes:
    """Return a digest of the command; keyed, so that nobody who reads the table can try out what was sent."""
    key = b"" if vault is None else vault.fingerprint_key
    return hashlib.blake2b(route.name.encode() + b"\n" + to_json(command), digest_size=16, key=key).digest()


SECRET_MARK = b"\x00"
"""The first byte of a kept answer that is encrypted; JSON never begins with it."""


def _context(pair: tuple[UUID, str]) -> bytes:
    return b"answer" + pair[0].bytes + pair[1].encode()


class KeyedBatch:
    """The calls of one transaction: which are new, which repeat a kept answer, which repeat each other."""

    def __init__(self, route: Route, calls: Sequence[Call[Any]], vault: Vault | None) -> None:
        self.route = route
        self.vault = vault
        self.calls = calls
        self.keys = [key_of(call) for call in calls]
        self.pairs = list({pair for pair in self.keys if pair is not None})
        self.answers: list[Answer | Exception | None] = [None] * len(calls)
        self.fingerprints = [
            _fingerprint(route, call.command, vault) if pair else b""
            for call, pair in zip(calls, self.keys, strict=True)
        ]
        self.leaders: dict[tuple[UUID, str], int] = {}
        self.fresh_places: list[int] = []
        self.to_keep: list[KeptAnswer] = []
        self.late: dict[tuple[UUID, str], KeptAnswer] = {}
        """First answers that came while the handler waited: they overrule its refusals."""
        self._sort_out({})

    @property
    def fresh(self) -> list[Call[Any]]:
        """The calls the handler has to decide."""
        return [self.calls[place] for place in self.fresh_places]

    def recall(self, kept: dict[tuple[UUID, str], KeptAnswer]) -> None:
        """Answer what was answered before."""
        if kept:
            self._sort_out(kept)

    def _sort_out(self, kept: dict[tuple[UUID, str], KeptAnswer]) -> None:
        self.leaders.clear()
        self.fresh_places.clear()
        for place, pair in enumerate(self.keys):
            if pair is None:
                self.fresh_places.append(place)
            elif pair in kept:
                self.answers[place] = self._repeat(place, kept[pair])
            elif pair not in self.leaders:
                self.leaders[pair] = place
                self.fresh_places.append(place)

    def _repeat(self, place: int, first: KeptAnswer) -> Answer | Exception:
        same = first.fingerprint == self.fingerprints[place]
        return Answer(first.status, self._open(first), replayed=True) if same else KeyReused()

    def _close(self, pair: tuple[UUID, str], body: bytes) -> bytes:
        if self.vault is None:
            raise AssertionError("the pipeline was built without a vault")
        return SECRET_MARK + self.vault.encrypt(body, _context(pair))

    def _open(self, kept: KeptAnswer) -> bytes:
        if self.vault is None or not kept.reply.startswith(SECRET_MARK):
            return kept.reply
        return self.vault.decrypt(kept.reply[1:], _context((kept.user_id, kept.key)))

    def refused_pairs(self, outcomes: Sequence[Outcome | Refusal]) -> list[tuple[UUID, str]]:
        """Return the keys of refused calls: their first answer may have come while the handler waited for a lock."""
        places = zip(self.fresh_places, outcomes, strict=True)
        return [
            pair for place, o in places if isinstance(o, Refusal) and (pair := self.keys[place]) is not None
        ]

    def settle(self, outcomes: Sequence[Outcome | Refusal]) -> list[Answer | Exception]:
        """Turn outcomes into answers, and collect the ones to keep under their keys."""
        for place, outcome in zip(self.fresh_places, outcomes, strict=True):
            refusal = outcome if isinstance(outcome, Refusal) else outcome.refusal
            if refusal is not None:
                pair = self.keys[place]
                late = None if pair is None else self.late.get(pair)
                self.answers[place] = refusal if late is None else self._repeat(place, late)
                continue
            answer = Answer(self.route.status, to_json(outcome.reply))  # type: ignore[union-attr]
            self.answers[place] = answer
            pair = self.keys[place]
            if pair is not None:
                body = self._close(pair, answer.body) if outcome.secret else answer.body  # type: ignore[union-attr]
                self.to_keep.append(KeptAnswer(*pair, self.fingerprints[place], answer.status, body))
        return [self._answer_of(place) for place in range(len(self.calls))]

    def _answer_of(self, place: int) -> Answer | Exception:
        answer = self.answers[place]
        if answer is not None:
            return answer
        pair = self.keys[place]
        leader = self.leaders[pair] if pair else place
        if self.fingerprints[leader] != self.fingerprints[place]:
            return KeyReused()
        first = self.answers[leader]
        if isinstance(first, Answer):
            return Answer(first.status, first.body, replayed=True)
        return first or Internal()
