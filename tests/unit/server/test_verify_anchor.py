"""The checker of anchors: what a contract says, and nodes that say nonsense."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from server.cli import verify_ledger
from server.cli.__main__ import main as mnbara
from server.cli.verify_anchor import FIRST_FROM, main
from tests.support.chains import Gate, RpcError, serve_rpc

SCRIPT = Path(__file__).parents[3] / "server" / "cli" / "verify_anchor.py"
PLACE = "eip155:5:0x" + "11" * 20
ROOT, OTHER = b"\x01" * 32, b"\x02" * 32
CHECKPOINT = (
    f"market.example/v1/ledger\n300\n{base64.b64encode(ROOT).decode()}\n\n— market.example/v1/ledger AAAA\n"
)
PROOF = f"c2sp.org/tlog-proof@v1\nindex 7\n\n{CHECKPOINT}"


def word(size: int, root: bytes) -> str:
    return f"0x{size:064x}{root.hex()}"


NOTHING = word(0, bytes(32))


@pytest.fixture
def gate() -> Gate:
    gate = Gate(lambda _method, _params: NOTHING)
    gate.changed["eth_chainId"] = lambda _method, _params: "0x5"
    return gate


@pytest.fixture
def check(gate: Gate, tmp_path, capsys):
    def check(content: str | bytes = PROOF, place: str = PLACE, url: str = "") -> tuple[int, str]:
        file = tmp_path / "a.tlog-proof"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        with serve_rpc(gate) as served:
            status = main([str(file), "--chain", url or served, "--contract", place])
        return status, capsys.readouterr().out

    return check


def says(gate: Gate, **by_block: str) -> None:
    def answer(_method, params):
        call, block = params
        assert (call["to"], call["data"]) == (PLACE[9:], f"0x{FIRST_FROM}{300:064x}")
        found = by_block[block]
        if found == "refused":
            raise RpcError("unknown block")
        return found

    gate.changed["eth_call"] = answer


def test_the_selector_is_that_of_the_contract():
    from eth_utils import function_signature_to_4byte_selector

    assert function_signature_to_4byte_selector("first_from(uint64)").hex() == FIRST_FROM


@pytest.mark.parametrize("content", [PROOF, CHECKPOINT])
def test_a_root_in_a_final_block_is_right(check, gate, content):
    says(gate, latest=word(300, ROOT), finalized=word(300, ROOT))
    assert check(content) == (0, f"RIGHT\nThe root of 300 entries is in a final block, at {PLACE}.\n")


@pytest.mark.parametrize(
    ("latest", "finalized", "status", "told"),
    [
        (word(300, OTHER), word(300, OTHER), 1, "WRONG\n"),
        (word(300, OTHER), NOTHING, 1, "WRONG\n"),
        (word(300, ROOT), word(300, OTHER), 1, "WRONG\n"),
        (word(300, ROOT), NOTHING, 3, "NOT FINAL\n"),
        (word(300, ROOT), "0x", 3, "NOT FINAL\n"),
        (word(300, ROOT), "refused", 3, "NOT FINAL\n"),
        (word(512, ROOT), word(512, ROOT), 3, "NOT ANCHORED\n"),
        (NOTHING, NOTHING, 3, "NOT ANCHORED\n"),
        ("refused", NOTHING, 2, "UNREADABLE\n"),
        ("0x01", NOTHING, 2, "UNREADABLE\n"),
    ],
)
def test_what_is_not_in_a_final_block_is_told_apart(check, gate, latest, finalized, status, told):
    says(gate, latest=latest, finalized=finalized)
    found = check()
    assert (found[0], found[1][: len(told)]) == (status, told)


def test_the_next_anchored_tree_is_named(check, gate):
    says(gate, latest=word(512, ROOT), finalized=word(512, ROOT))
    assert "ask for the proof with tree_size=512" in check()[1]


def test_a_node_of_another_chain_is_refused(check, gate):
    gate.changed["eth_chainId"] = lambda _method, _params: "0x1"
    assert check() == (2, "UNREADABLE\nThe node is of chain 1, the contract of chain 5.\n")


def test_nonsense_of_a_node_is_told_in_a_sentence(check, gate):
    wrong = []
    for lie in (
        b"",
        b"<html>",
        b"[1]",
        b"[" * 100_000,
        b'{"result":5}',
        b'{"result":"0xzz"}',
        b" " * (1 << 18),
    ):
        gate.changed["eth_call"] = lambda _method, _params, lie=lie: lie
        status, told = check()
        if status != 2 or not told.startswith("UNREADABLE\nThe node does not answer"):
            wrong.append((lie[:20], status, told))
    assert wrong == []
    gate.down = True
    assert check()[0] == 2


def test_files_and_calls_that_say_nothing_are_refused(check):
    for content in (
        "",
        "a\nb\nc\n",
        CHECKPOINT.replace("300", "0"),
        CHECKPOINT.replace("300", "03"),
        b"\xff",
        b"x" * (1 << 21),
    ):
        assert check(content)[0] == 2
    assert check(place="0x" + "11" * 20)[0] == 2
    assert check(url="file:///etc/passwd")[0] == 2


def test_the_file_stands_alone(gate, tmp_path):
    says(gate, latest=word(300, ROOT), finalized=word(300, ROOT))
    file = tmp_path / "a.tlog-proof"
    file.write_text(PROOF)
    with serve_rpc(gate) as url:
        command = [sys.executable, "-I", str(SCRIPT), str(file), "--chain", url, "--contract", PLACE]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_verb_checks_both_and_ends_with_the_worse(gate, tmp_path, monkeypatch, capsys):
    file = tmp_path / "a.tlog-proof"
    file.write_text(PROOF)
    monkeypatch.setattr(verify_ledger, "main", lambda _words: verify_ledger.INCOMPLETE)
    with serve_rpc(gate) as url:
        words = ["verify", str(file), "--chain", url, "--contract", PLACE]
        for latest, status in ((word(300, ROOT), 3), (word(300, OTHER), 1)):
            says(gate, latest=latest, finalized=latest)
            assert mnbara(words) == status
        assert mnbara(words[:-2]) == 2
    assert "MNBARA_CHAIN_CONTRACT" in capsys.readouterr().err
