"""Accounts for a load test: made once, completed by the next run, and good for signing in."""

import json
import stat
from pathlib import Path

import argon2
import pytest

from server.cli import load_accounts as verb
from server.cli.load_accounts import AccountsFileError, load_accounts
from storage.auth.users_postgres import read_user_by_email
from storage.engines.postgres import open_database

LINES: list[str] = []


async def user_of(url: str, told: dict[str, object], number: int):
    database = await open_database(url, size_max=1)
    try:
        async with database.connection() as db:
            return await read_user_by_email(db, str(told["email"]).replace("{number}", str(number)))
    finally:
        await database.close()


async def test_each_account_of_the_file_can_sign_in_and_a_second_run_adds_none(database, tmp_path):
    path = tmp_path / "accounts.json"
    assert "5 of them new" in await load_accounts(database, 5, path, LINES.append)
    first = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "0 of them new" in await load_accounts(database, 5, path, LINES.append)
    assert path.read_bytes() == first
    told = json.loads(first)
    assert told["count"] == 5
    user = await user_of(database, told, 5)
    assert argon2.PasswordHasher().verify(user.password_hash, told["password"])
    assert user.roles == {"user"}
    assert await user_of(database, told, 6) is None


async def test_an_interrupted_run_goes_on_and_more_can_be_asked_for(database, tmp_path, monkeypatch):
    monkeypatch.setattr(verb, "BATCH", 2)
    path = tmp_path / "accounts.json"

    def interrupt(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await load_accounts(database, 5, path, interrupt)
    assert json.loads(path.read_bytes())["count"] == 2
    lines: list[str] = []
    assert "3 of them new" in await load_accounts(database, 5, path, lines.append)
    assert lines == ["2 of 5 accounts", "4 of 5 accounts", "5 of 5 accounts"]
    assert "has 5 accounts, 0 of them new" in await load_accounts(database, 1, path, LINES.append)


async def test_another_file_has_other_accounts_and_what_is_no_file_of_accounts_is_left_alone(
    database, tmp_path
):
    for name in ("a.json", "b.json"):
        assert "1 of them new" in await load_accounts(database, 1, tmp_path / name, LINES.append)
    other = tmp_path / "notes.txt"
    other.write_text("to do")
    with pytest.raises(AccountsFileError, match="is no file of accounts"):
        await load_accounts(database, 1, other, LINES.append)
    assert other.read_text() == "to do"


async def test_a_device_is_not_read_to_its_end(database):
    with pytest.raises(AccountsFileError, match="no regular file"):
        await load_accounts(database, 1, Path("/dev/null"), LINES.append)
