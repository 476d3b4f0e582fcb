"""The checker of proofs: right files, every change of one, and files that are no proofs."""

import base64
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handlers.ledger.keys import LedgerKeys
from handlers.ledger.merkle import inclusion_ranges, leaf_hash
from handlers.ledger.notes import COSIGNATURE, SIGNATURE, Signer, read_note, sign_checkpoint
from handlers.ledger.proofs import write_proof
from handlers.ledger.tiles import Hashes, grow
from server.cli import verify_anchor
from server.cli.__main__ import main as mnbara
from server.cli.verify_ledger import FILE_BYTES_MAX, main

LOG = Signer.of_seed("market.example/v1/ledger", SIGNATURE, bytes(range(32)))
WITNESS = Signer.of_seed("witness.example", COSIGNATURE, bytes(range(1, 33)))
STRANGER = Signer.of_seed("market.example/v1/ledger", SIGNATURE, bytes(32))
KEY = LOG.key.vkey
LEAVES = [
    b"mnbara.transfer/1\nsalt %032x\ndebit %064x\namount %d\n" % (number, number, number)
    for number in range(300)
]
HASHES = Hashes(grow({}, 0, list(map(leaf_hash, LEAVES))))
SCRIPT = Path(__file__).parents[3] / "server" / "cli" / "verify_ledger.py"


def proof_of(index, size, leaf=True):
    path = [HASHES.of(*part) for part in inclusion_ranges(index, size)]
    checkpoint = sign_checkpoint(LOG.key.name, size, HASHES.of(0, size), LOG)
    return write_proof(index, path, checkpoint, LEAVES[index] if leaf else None)


PROOF = proof_of(200, 300)


@pytest.fixture
def check(tmp_path, capsys):
    def check(content, *words):
        file = tmp_path / "proof.tlog-proof"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return main([str(file), *words]), capsys.readouterr().out

    return check


@pytest.mark.parametrize(
    ("index", "size"), [(0, 1), (0, 2), (1, 2), (4, 5), (200, 300), (299, 300), (255, 256)]
)
def test_a_proof_is_right(check, index, size):
    status, told = check(proof_of(index, size), "--key", KEY)
    assert status == 0, told
    assert told.startswith(
        f"RIGHT\nEntry {index} is in the tree of {size} entries of 'market.example/v1/ledger'.\n"
    )
    assert f"  amount {index}\n" in told
    assert told.endswith(
        "What was logged:\n" + "".join(f"  {line}\n" for line in LEAVES[index].decode().splitlines())
    )


def test_without_a_key_nothing_is_said_about_the_signer(check):
    status, told = check(PROOF)
    assert status == 3
    assert "No key was given (--key), so nobody knows whose checkpoint this is." in told


def test_without_the_leaf_its_hash_is_asked_for(check):
    bare = proof_of(200, 300, leaf=False)
    assert check(bare, "--key", KEY)[0] == 3
    hashes = [base64.b64encode(leaf_hash(LEAVES[index])).decode() for index in (200, 201)]
    assert [check(bare, "--key", KEY, "--leaf-hash", hashed)[0] for hashed in hashes] == [0, 1]
    assert [check(PROOF, "--key", KEY, "--leaf-hash", hashed)[0] for hashed in hashes] == [0, 1]


def test_a_stranger_of_the_same_name_is_found_out(check):
    status, told = check(PROOF, "--key", STRANGER.key.vkey)
    assert status == 1
    assert "The checkpoint is not signed by the key" in told


def test_the_cosignature_of_a_witness_is_checked_with_its_key(check):
    text = read_note(PROOF.partition("\n\n")[2]).text
    cosigned = PROOF + WITNESS.cosign(text, 1_790_000_000)
    assert check(cosigned, "--key", WITNESS.key.vkey)[0] == 0
    assert check(cosigned, "--key", KEY)[0] == 0
    assert check(PROOF, "--key", WITNESS.key.vkey)[0] == 1


def test_every_changed_byte_is_found(check):
    content = PROOF.encode()
    for place in range(len(content)):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        status, told = check(changed, "--key", KEY)
        assert status in {1, 2}, (place, told)
        assert told.isascii()
        assert told.split("\n")[1].endswith(".")


def test_every_truncated_file_is_found(check):
    for length in range(0, len(PROOF.encode()), 7):
        assert check(PROOF.encode()[:length], "--key", KEY)[0] in {1, 2}


def line(number, text):
    lines = PROOF.split("\n")
    lines[number] = text
    return "\n".join(lines)


SIZE_LINE = PROOF.split("\n").index("300")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no empty line"),
        (b"\x00" * 1000, "no empty line"),
        (b"\xff\xfe\n\n", "not UTF-8 at byte 0"),
        ("é" + PROOF, "The first line is"),
        (line(2, "index -1"), "The index is '-1', not a number"),
        (line(2, "index 0200"), "not a number"),
        (line(2, "index \u0662"), "not a number"),
        (line(2, "index " + "9" * 400), "not a number"),
        (line(2, f"index {2**63}"), "not a number"),
        (line(2, "index 1e2"), "not a number"),
        (line(2, ""), "is missing"),
        (line(1, "extra !"), "is not base64"),
        (line(3, "AAAA"), "Hash 1 of the proof has 3 bytes, not 32"),
        (line(3, "A" * 44), "has 33 bytes, not 32"),
        (line(3, "A" * 43), "not base64"),
        (line(3, "A" * 42 + "B="), "not base64 in its one spelling"),
        (line(SIZE_LINE, "1" + "0" * 400), "The tree's size is '1000"),
        (line(SIZE_LINE, "-300"), "The tree's size is '-300'"),
        (line(SIZE_LINE, "0"), "Entry 200 cannot be in a tree of 0 entries"),
        (line(SIZE_LINE, "200"), "Entry 200 cannot be in a tree of 200 entries"),
        (PROOF.replace("\nindex", "\n" + "A" * 43 + "=" + "\nindex"), "`index` is missing"),
        (PROOF.replace("200\n", "200\n" + ("A" * 43 + "=\n") * 65), "none needs more than 64"),
        (PROOF.replace("200\n", "200\n" + "A" * 43 + "=\n"), "The hashes do not lead"),
        (PROOF + PROOF.split("\n")[-2] + "\n", "RIGHT"),
        (PROOF + ("— a " + "A" * 92 + "\n") * 64, "more than 64 signatures"),
        (PROOF + "— a b c\n", "is not the line of a signature"),
        (PROOF.replace("\n", "\r\n"), "no empty line"),
        (PROOF + "\n" * 1000, "cut off"),
        (b"\n" * FILE_BYTES_MAX, "The first line is"),
        (PROOF.encode() + b"x" * FILE_BYTES_MAX, "more than 1048576 bytes"),
        (b"c2sp.org/tlog-proof@v1\n" + b"A" * 900_000 + b"\n\n", "`index` is missing"),
        (PROOF.encode() + b"- " * 400_000, "cut off"),
    ],
)
def test_a_hostile_file_ends_in_a_sentence(check, content, told):
    status, said = check(content, "--key", KEY)
    assert told in said
    assert len(said) < 1_000 or status == 0
    assert said.isascii()
    assert status == (0 if told == "RIGHT" else 1 if "Entry 200" in told or "do not lead" in told else 2)


@pytest.mark.parametrize(
    "key", ["", "a", "a+b+c", KEY[:-1], KEY.replace("+", " ", 1), KEY + "é", "x" + KEY, "\ud800"]
)
def test_a_misspelled_key_is_told(check, key):
    status, told = check(PROOF, "--key", key)
    assert status == 2
    assert "key" in told


@pytest.mark.parametrize("name", ["nowhere", ".", "a\0b"])
def test_a_file_that_is_none_is_told(name, tmp_path, capsys):
    assert main([f"{tmp_path}/{name}"]) == 2
    assert capsys.readouterr().out.startswith("UNREADABLE\nThe file ")


def test_a_pipe_that_nobody_writes_to_is_told_and_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for verifier, name in itertools.product((main, verify_anchor.main), ("pipe", "link")):
        chain = ["--chain", "http://127.0.0.1:1", "--contract", f"eip155:1:0x{'a' * 40}"]
        assert verifier([str(tmp_path / name), *(chain if verifier is verify_anchor.main else [])]) == 2
        assert "The file is a pipe" in capsys.readouterr().out


def test_the_file_runs_alone(tmp_path):
    script, proof = tmp_path / "verify.py", tmp_path / "p"
    script.write_bytes(SCRIPT.read_bytes())
    proof.write_text(PROOF)
    site = next(path for path in sys.path if path.endswith("site-packages"))
    run = [sys.executable, "-S", "-E", str(script), str(proof), "--key", KEY]
    alone = subprocess.run(
        run, cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]}
    )
    assert alone.returncode == 2  # no packages at all
    assert "install it" in alone.stdout
    code = (
        f"import sys; sys.path.append({site!r}); sys.argv = {run[3:]!r}; exec(open({str(script)!r}).read())"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("RIGHT\n")
    assert len(SCRIPT.read_text().splitlines()) <= 250


def test_mnbara_verify_knows_the_key_of_the_log_that_is_kept_here(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MNBARA_HOME", str(tmp_path / "home"))
    proof = tmp_path / "p"
    proof.write_text(PROOF)
    assert mnbara(["verify", str(proof)]) == 3
    assert mnbara(["verify", str(proof), "--key", KEY]) == 0
    keys = LedgerKeys(tmp_path / "home" / "secrets", "https://market.example")
    ours = sign_checkpoint(keys.origin, 1, leaf_hash(b"a\n"), keys.log)
    own = tmp_path / "own"
    own.write_text(write_proof(0, [], ours, b"a\n"))
    assert mnbara(["verify", str(own)]) == 0
    assert mnbara(["verify", str(proof)]) == 1
    (tmp_path / "home" / "secrets" / "ledger_keys.json").write_text("{}")
    capsys.readouterr()
    assert mnbara(["verify", str(own)]) == 1
    assert "restore it from a backup" in capsys.readouterr().err
