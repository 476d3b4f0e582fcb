"""The log over HTTP: texts as other programs read them, tiles, and the witness."""

import asyncio
import base64
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from handlers.ledger.merkle import fold, leaf_hash
from handlers.ledger.notes import SIGNATURE, Signer, read_checkpoint, read_note, read_vkey, sign_checkpoint
from handlers.ledger.tiles import Hashes, bundle
from handlers.settings import Settings
from protocols.ledger.commands import WITNESS_BYTES_MAX
from protocols.values import new_id
from server.wiring import open_server
from tests.integration.http.conftest import serving
from tests.integration.ledger.conftest import leaves_of
from tests.integration.ledger.test_proving import checked

ROOT = Path(__file__).parents[3]
OTHER = Signer.of_seed("other.example/log", SIGNATURE, bytes(range(32)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(database, redis_url, nats_url, opened_log) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        postgres_url=database,
        redis_url=redis_url,
        nats_url=nats_url,
        secrets=str(opened_log.secrets),
        home=opened_log.secrets.parent,
        rate_limits=False,
        witnessed_logs=f" {OTHER.key.vkey}, ",
    )
    async with (
        open_server(settings) as process,
        serving(process.app) as url,
        httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client,
    ):
        yield client


async def join(http):
    body = {"email": f"{new_id().hex}@example.org", "password": "correct horse 7", "display_name": "Ann"}
    told = (await http.post("/v1/auth/register", json=body)).json()
    return UUID(told["user"]["id"]), {"Authorization": f"Bearer {told['tokens']['access_token']}"}


async def join_as_admin(http, pool):
    user_id, _ = await join(http)
    await pool.execute("UPDATE users SET roles = '{user,admin}' WHERE user_id = $1", user_id)
    email = await pool.fetchval("SELECT email FROM users WHERE user_id = $1", user_id)
    told = (await http.post("/v1/auth/login", json={"email": email, "password": "correct horse 7"})).json()
    return {"Authorization": f"Bearer {told['tokens']['access_token']}"}


async def test_checkpoint_and_proof_are_texts_and_a_proof_is_checked_as_it_is_served(log, http):
    payer, headers = await join(http)
    await log.move(5, payer)
    await log.sequence()
    checkpoint = await http.get("/v1/ledger/checkpoint")
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    assert checkpoint.headers["cache-control"] == "no-cache"
    key = read_vkey((await http.get("/v1/ledger/key")).json()["vkey"])
    assert read_note(checkpoint.text).is_signed_by(key)
    proof = await http.get("/v1/ledger/entries/3/proof", headers=headers)
    assert proof.headers["content-type"] == "text/plain; charset=utf-8"
    assert checked(proof.text, key)[1] == 3
    assert "extra" not in (await http.get("/v1/ledger/entries/3/proof")).text
    listed = (await http.get("/v1/ledger/entries?from=4", headers=headers)).json()
    assert [item["index"] for item in listed["items"]] == [4]
    assert (await http.get("/v1/ledger/consistency?old=2&new=5")).json()["hashes"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("entries/5/proof", 404),
        ("entries/-1/proof", 400),
        ("entries/x/proof", 400),
        (f"entries/{10**400}/proof", 400),
        ("entries/1e3/proof", 400),
        ("entries/%D9%A1/proof", 400),
        ("entries?from=9999999999999999999999", 400),
        ("consistency?old=0&new=1", 400),
        ("consistency?old=1", 400),
        (f"anchors/{10**400}", 400),
        ("anchors/77", 404),
    ],
)
async def test_absurd_places_and_sizes_are_refused(log, http, path, status):
    await log.move(5)
    await log.sequence()
    answer = await http.get(f"/v1/ledger/{path}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_stranger_rebuilds_the_signed_root_from_tiles(log, http, pool):
    await log.move(600)
    await log.sequence()
    tiles = {}
    for level, index, path in ((0, 0, "000"), (0, 1, "001"), (0, 2, "002.p/88"), (1, 0, "000.p/2")):
        answer = await http.get(f"/v1/ledger/tile/{level}/{path}")
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        tiles[level, index] = answer.content
    assert [len(tile) for tile in tiles.values()] == [8192, 8192, 88 * 32, 64]
    said = read_checkpoint(read_note((await http.get("/v1/ledger/checkpoint")).text).text)
    assert (said.size, said.root) == (600, Hashes(tiles).of(0, 600))
    assert fold(Hashes(tiles).frontier(600)) == said.root
    narrower = await http.get("/v1/ledger/tile/0/002.p/80")  # of the tree of an older checkpoint
    assert narrower.content == tiles[0, 2][: 80 * 32]
    again = await http.get("/v1/ledger/tile/0/000", headers={"If-None-Match": narrower.headers["etag"]})
    assert again.status_code == 200
    again = await http.get("/v1/ledger/tile/0/000", headers={"If-None-Match": again.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "0/002",
        "0/002.p/89",
        "0/003",
        "0/000.p/256",
        "0/000.p/0",
        "0/0",
        "0/00",
        "0/x000/000",
        "1/000",
        "1/000.p/3",
        "2/000",
        "64/000",
        "63/000",
        "-1/000",
        "00/000",
        "0/-01",
        "0/x999/x999/x999/x999/x999/999",
        "0/" + "9" * 300,
        "x/000",
        "0/%2e%2e",
        "0/%00",
    ],
)
async def test_tiles_that_the_tree_does_not_have_are_not_found(log, http, path):
    await log.move(600)
    await log.sequence()
    answer = await http.get(f"/v1/ledger/tile/{path}")
    assert answer.status_code in {400, 404}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_bundles_of_entries_are_for_administrators(log, http, pool):
    await log.move(300)
    await log.sequence()
    leaves = [row["leaf"] for row in await leaves_of(pool)]
    _, headers = await join(http)
    assert (await http.get("/v1/ledger/tile/entries/000")).status_code == 401
    assert (await http.get("/v1/ledger/tile/entries/000", headers=headers)).status_code == 403
    admin = await join_as_admin(http, pool)
    full, rest = [
        await http.get(f"/v1/ledger/tile/entries/{path}", headers=admin) for path in ("000", "001.p/44")
    ]
    assert full.content == bundle(leaves[:256])
    assert rest.content == bundle(leaves[256:])
    assert full.headers["cache-control"].startswith("private")
    assert (await http.get("/v1/ledger/tile/entries/001", headers=admin)).status_code == 404
    tile = (await http.get("/v1/ledger/tile/0/001.p/44")).content
    assert tile == b"".join(map(leaf_hash, leaves[256:]))


async def run_guide(folder, words, **facts):
    """Run a program of the guide; return what it printed."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NO_PROXY": "127.0.0.1",
        **facts,
    }
    running = await asyncio.create_subprocess_exec(
        *words,
        cwd=ROOT,
        env=environment | {"TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await running.communicate()
    assert running.returncode == 0, told.decode()
    return told.decode()


async def test_the_guide_checks_us_as_it_is_printed(log, http, tmp_path):
    payer, headers = await join(http)
    await log.move(600, payer)
    await log.sequence()
    page = (ROOT / "docs" / "ledger.md").read_text()
    (shell,), (program,) = [re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("sh", "python")]
    assert len(program.splitlines()) <= 12
    facts = {
        "URL": str(http.base_url).rstrip("/"),
        "TOKEN": headers["Authorization"].removeprefix("Bearer "),
        "INDEX": "300",
        "KEY": log.keys.log.key.vkey,
    }
    told = await run_guide(tmp_path, ["sh", "-eu", "-c", shell], **facts)
    assert told.startswith(f"RIGHT\nEntry 300 is in the tree of 600 entries of '{log.keys.origin}'.\n")
    assert await run_guide(tmp_path, ["python3", "-c", program], **facts) == f"{log.keys.origin} 600 right\n"
    async with log.damaging() as db:
        await db.execute("UPDATE ledger_tiles SET hashes = set_byte(hashes, 9, 9) WHERE level = 0")
    assert (await run_guide(tmp_path, ["python3", "-c", program], **facts)).endswith(" 600 WRONG\n")


# -- the witness -----------------------------------------------------------------------------------------------------


def ask(http, old, proof, checkpoint, **more):
    body = f"old {old}\n" + "".join(f"{line}\n" for line in proof) + "\n" + checkpoint
    return http.post("/v1/ledger/add-checkpoint", content=body.encode(), **more)


async def proof_between(http, old, new):
    return (await http.get("/v1/ledger/consistency", params={"old": old, "new": new})).json()["hashes"]


async def test_the_witness_cosigns_a_log_as_it_grows(log, http):
    witness = read_vkey((await http.get("/v1/ledger/key")).json()["witness_vkey"])
    await log.move(3)
    await log.sequence()
    first = (await http.get("/v1/ledger/checkpoint")).text
    told = await ask(http, 0, [], first)
    assert (told.status_code, told.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    note = read_note(first + told.text)
    assert note.is_signed_by(witness)
    assert note.is_signed_by(log.keys.log.key)
    await log.move(4)
    await log.sequence()
    second = (await http.get("/v1/ledger/checkpoint")).text
    proof = await proof_between(http, 3, 7)
    behind = await ask(http, 0, [], second)
    assert (behind.status_code, behind.text) == (409, "3\n")
    assert behind.headers["content-type"] == "text/x.tlog.size"
    for wrong in ([], proof[:-1], proof[::-1], [*proof, proof[0]]):
        refused = await ask(http, 3, wrong, second)
        assert (refused.status_code, refused.json()["code"]) == (422, "not_consistent")
    told = await ask(http, 3, proof, second, headers={"Content-Type": "text/plain"})
    assert read_note(second + told.text).is_signed_by(witness)
    same = await ask(http, 7, [], second)
    assert same.status_code == 200
    back = await ask(http, 3, proof, second)
    assert (back.status_code, back.text) == (409, "7\n")


async def test_the_witness_refuses_what_another_log_shows_to_others(log, http):
    roots = [leaf_hash(b"a"), leaf_hash(b"b")]
    seen, other = [sign_checkpoint(OTHER.key.name, 1, root, OTHER) for root in roots]
    assert (await ask(http, 0, [], seen)).status_code == 200
    split = await ask(http, 1, [], other)
    assert (split.status_code, split.json()["code"]) == (409, "split_view")
    assert (await ask(http, 1, [], seen)).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (
            lambda text: text.replace("other.example/log\n1", "unknown.example/log\n1"),
            404,
            "log_not_witnessed",
        ),
        (lambda text: text.replace("\n1\n", "\n2\n"), 403, "checkpoint_not_signed"),
        (
            lambda text: text.replace("— other.example/log", "— other.example/leg"),
            403,
            "checkpoint_not_signed",
        ),
        (lambda text: text.replace("old 0", "old 2"), 400, "bad_checkpoint"),
        (lambda text: text.replace("old 0", "old 00"), 400, "bad_checkpoint"),
        (lambda text: text.replace("old 0", "old -1"), 400, "bad_checkpoint"),
        (lambda text: text.replace("old 0", f"old {10**400}"), 400, "bad_checkpoint"),
        (lambda text: text.replace("old 0", "new 0"), 400, "bad_checkpoint"),
        (lambda text: text.replace("old 0", "old 0\nAAAA"), 400, "bad_checkpoint"),
        (
            lambda text: text.replace("old 0", "old 0" + f"\n{base64.b64encode(bytes(32)).decode()}" * 64),
            400,
            "bad_checkpoint",
        ),
        (
            lambda text: text.replace("old 0", f"old 0\n{base64.b64encode(bytes(32)).decode()}"),
            422,
            "not_consistent",
        ),
        (lambda text: text[:-1], 400, "bad_checkpoint"),
        (lambda text: text + "\r\n", 400, "bad_checkpoint"),
        (lambda _text: "", 400, "bad_checkpoint"),
        (lambda _text: b"\xff\xfe", 400, "bad_checkpoint"),
        (lambda text: text + "x" * WITNESS_BYTES_MAX, 413, "payload_too_large"),
    ],
)
async def test_what_the_witness_does_not_take(log, http, change, status, code):
    checkpoint = sign_checkpoint(OTHER.key.name, 1, leaf_hash(b"a"), OTHER)
    answer = await http.post("/v1/ledger/add-checkpoint", content=change(f"old 0\n\n{checkpoint}"))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await ask(http, 0, [], checkpoint)).status_code == 200  # nothing was kept


async def test_the_log_keeps_its_name_when_the_url_changes(log, http):
    assert log.keys.origin == "market.example:8443/base/v1/ledger"
    assert (await http.get("/v1/ledger/key")).json()["vkey"] == log.keys.log.key.vkey
    assert urlsplit(str(http.base_url)).netloc not in log.keys.origin
