"""Entries as clients see them: everybody sees hashes, those whom an entry concerns what was logged."""

from base64 import b64encode

from handlers.contract import Caller, Permission
from protocols.ledger.commands import LogEntry
from protocols.ledger.leaves import read_entry_id
from storage.ledger.log_postgres import EntryRow


def may_read(row: EntryRow, caller: Caller) -> bool:
    """Whether a caller may read what was logged: its parties and administrators."""
    return caller.user_id in row.parties or Permission.ADMIN.value in caller.roles


def to_entry(row: EntryRow, leaf_hash: bytes, caller: Caller) -> LogEntry:
    """Return an entry as a caller sees it."""
    readable = may_read(row, caller)
    return LogEntry(
        index=row.leaf_index,
        leaf_hash=b64encode(leaf_hash).decode(),
        entry=read_entry_id(row.leaf) if readable else None,
        leaf=b64encode(row.leaf).decode() if readable else None,
    )
