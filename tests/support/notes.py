"""A throwaway domain for tests of the doors: notes with a version, and routes of every permission and shape."""

from typing import Annotated, Any
from uuid import UUID

import asyncpg
from msgspec import Meta, Struct

from handlers.contract import Caller, Outcome, Permission, Route, Stores
from protocols.errors import NotFound, Refusal, Stale
from protocols.values import Key, PageLimit, new_id
from tests.support import counters

TABLE = """CREATE TABLE IF NOT EXISTS notes (
    note_id uuid PRIMARY KEY, owner_id uuid NOT NULL, text text NOT NULL, version bigint NOT NULL DEFAULT 1)"""


class NoteTooDull(Refusal):
    """The note is too dull."""

    code, number, status = "note_too_dull", 1999, 409


class WriteNote(Struct, forbid_unknown_fields=True):
    """Write a note."""

    text: Annotated[str, Meta(min_length=1, max_length=200)]
    stars: Annotated[int, Meta(ge=0, le=5)] = 0
    tags: Annotated[list[Annotated[str, Meta(max_length=10)]], Meta(max_length=5)] = []
    attributes: dict[str, Any] = {}
    key: Key = ""


class ChangeNote(Struct, forbid_unknown_fields=True):
    """Change a note's text."""

    note_id: UUID
    text: Annotated[str, Meta(min_length=1, max_length=200)]
    if_match: int | None = None


class ReadNote(Struct, forbid_unknown_fields=True):
    """Ask for a note."""

    note_id: UUID


class FindNotes(Struct, forbid_unknown_fields=True):
    """Ask for notes with a text."""

    q: Annotated[str, Meta(max_length=50)] = ""
    stars: Annotated[int, Meta(ge=0, le=5)] | None = None
    limit: PageLimit = 20
    loud: bool = False


class Note(Struct):
    """A note."""

    id: UUID
    text: str
    version: int


class Notes(Struct):
    """A page of notes."""

    items: list[Note]
    next_cursor: str | None = None


class Nothing(Struct, forbid_unknown_fields=True):
    """No input."""


async def create_notes(pool: asyncpg.Pool) -> None:
    """Make the table."""
    await pool.execute(TABLE)


async def write_note(command: WriteNote, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Keep a note of the caller's."""
    if command.text == "dull":
        raise NoteTooDull("Nobody would read it", dullness=9, status=1, trace_id="mine")
    if command.text == "bug":
        raise ValueError("the secret of the server")
    note_id = new_id()
    await stores.db.execute("INSERT INTO notes VALUES ($1, $2, $3)", note_id, caller.id, command.text)
    return Outcome(Note(note_id, command.text, 1))


async def change_note(command: ChangeNote, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Change a note of the caller's, when it is still as they read it."""
    row = await stores.db.fetchrow(
        "SELECT version FROM notes WHERE note_id = $1 AND owner_id = $2 FOR UPDATE",
        command.note_id,
        caller.id,
    )
    if row is None:
        raise NotFound
    if command.if_match not in (None, row["version"]):
        raise Stale
    await stores.db.execute(
        "UPDATE notes SET text = $2, version = version + 1 WHERE note_id = $1", command.note_id, command.text
    )
    return Outcome(Note(command.note_id, command.text, row["version"] + 1))


async def read_note(command: ReadNote, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return a note."""
    row = await stores.db.fetchrow(
        "SELECT note_id, text, version FROM notes WHERE note_id = $1", command.note_id
    )
    if row is None:
        raise NotFound
    return Outcome(Note(*row))


async def find_notes(command: FindNotes, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return notes whose text contains another."""
    rows = await stores.db.fetch(
        "SELECT note_id, text, version FROM notes WHERE strpos(text, $1) > 0 ORDER BY note_id LIMIT $2",
        command.q.upper() if command.loud else command.q,
        command.limit,
    )
    return Outcome(Notes([Note(*row) for row in rows]))


async def burn_notes(command: Nothing, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Forget every note."""
    await stores.db.execute("DELETE FROM notes")
    return Outcome(None)


async def count_notes(command: Nothing, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return how many notes there are."""
    return Outcome({"count": await stores.db.fetchval("SELECT count(*) FROM notes")})


def _route(**facts: Any) -> Route:
    return Route(domain="notes", **facts)


ROUTES = (
    _route(
        command=WriteNote,
        reply=Note,
        function=write_note,
        method="POST",
        path="/v1/notes",
        permission=Permission.SIGNED_IN,
        status=201,
        key="required",
        refusals=(NoteTooDull,),
    ),
    _route(
        command=FindNotes,
        reply=Notes,
        function=find_notes,
        method="GET",
        path="/v1/notes",
        permission=Permission.ANYONE,
    ),
    _route(
        command=ReadNote,
        reply=Note,
        function=read_note,
        method="GET",
        path="/v1/notes/{note_id}",
        permission=Permission.ANYONE,
        etag=True,
        refusals=(NotFound,),
    ),
    _route(
        command=ChangeNote,
        reply=Note,
        function=change_note,
        method="PATCH",
        path="/v1/notes/{note_id}",
        permission=Permission.SIGNED_IN,
        etag=True,
        refusals=(NotFound, Stale),
    ),
    _route(
        command=Nothing,
        reply=None,
        function=burn_notes,
        method="DELETE",
        path="/v1/notes",
        permission=Permission.ADMIN,
        status=204,
    ),
    _route(
        command=Nothing,
        reply=dict[str, int],
        function=count_notes,
        method="GET",
        path="/v1/note-count",
        permission=Permission.SUPPORT,
        rpc=False,
        cost=5,
    ),
    *counters.ROUTES,
)
