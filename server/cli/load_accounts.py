"""Accounts for a load test, made in the database: a ramp-up then pays neither for registering nor for argon2id.

All accounts of a file share one password of 128 random bits, and one hash of it. Who cannot guess such a password in
any number of tries needs no costly hash to be kept away, so that a login with it costs the server a millisecond.
"""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import argon2
from msgspec import Struct, json

from protocols.values import new_id
from storage.auth.users_postgres import insert_missing_users
from storage.engines.postgres import open_database

BATCH = 1000
"""Accounts of one transaction: what an interrupted run has to do again at most."""


class AccountsFileError(Exception):
    """The file holds something else, or cannot be written."""


class AccountsFile(Struct):
    """What locust's users read. `email` has `{number}` where the number of an account comes, from 1 to `count`."""

    email: str
    password: str
    count: int


async def load_accounts(postgres_url: str, count: int, path: Path, say: Callable[[str], None]) -> str:
    """Make the accounts of a file that are missing, so that there are `count` at least; return a sentence.

    The file is written before the first account and after each batch: a run that was interrupted goes on.
    Raises: AccountsFileError; OSError and driver errors when the database is away.
    """
    accounts = _read(path)
    wanted = max(count, accounts.count)
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    password_hash = hasher.hash(accounts.password)
    added = 0
    _write(path, accounts)
    database = await open_database(postgres_url, size_max=1)
    try:
        for first in range(1, wanted + 1, BATCH):
            numbers = range(first, min(first + BATCH, wanted + 1))
            emails = [accounts.email.replace("{number}", str(number)) for number in numbers]
            names = [f"Load {number}" for number in numbers]
            ids = [new_id() for _ in numbers]
            async with database.transaction() as db:
                added += await insert_missing_users(
                    db, emails, names, ids, password_hash, time.time_ns() // 1_000_000
                )
            accounts.count = max(accounts.count, numbers[-1])
            _write(path, accounts)
            say(f"{numbers[-1]:,} of {wanted:,} accounts")
    finally:
        await database.close()
    return f"{path} has {wanted:,} accounts, {added:,} of them new"


def _read(path: Path) -> AccountsFile:
    """Return what the file holds, or a new password and addresses that no other file has."""
    if path.exists() and not path.is_file():  # a device has no end
        raise AccountsFileError(f"{path} is no file of accounts: no regular file")
    try:
        return json.decode(path.read_bytes(), type=AccountsFile)
    except FileNotFoundError:
        return AccountsFile(f"load-{secrets.token_hex(4)}-{{number}}@load.example", secrets.token_hex(16), 0)
    except (OSError, ValueError) as error:
        raise AccountsFileError(f"{path} is no file of accounts: {error}") from None


def _write(path: Path, accounts: AccountsFile) -> None:
    """Replace the file as a whole; only its owner may read the password."""
    new = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.encode(accounts))
        new.replace(path)
    except OSError as error:
        raise AccountsFileError(f"{path} cannot be written: {error}") from None
