"""Signed notes, keys and cosignatures against those of other implementations."""

import base64

import pytest

from handlers.ledger.notes import (
    COSIGNATURE,
    SIGNATURE,
    BadNoteError,
    Signer,
    read_checkpoint,
    read_note,
    read_vkey,
    sign_checkpoint,
)

# Source: golang.org/x/mod/sumdb/note, note_test.go.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = (
    "— PeterNeumann"
    " x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ROOT = bytes(range(32))


# Source: a checkpoint of a public log as its witnesses cosigned it; the first line is of a kind that is not read here.
PUBLIC = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
"""  # noqa: E501 - as it was served
PUBLIC_KEYS = [
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
]


@pytest.mark.parametrize("vkey", PUBLIC_KEYS)
def test_a_checkpoint_of_a_public_log_is_signed_by_its_log_and_its_witness(vkey):
    note = read_note(PUBLIC)
    assert read_checkpoint(note.text).size == 1_432_088_532
    assert note.is_signed_by(read_vkey(vkey))
    assert not read_note(PUBLIC.replace("1432088532", "1432088533")).is_signed_by(read_vkey(vkey))
    assert not note.is_signed_by(read_vkey(VKEY))


def test_the_note_of_another_implementation_is_signed_alike():
    signer = Signer.of_seed("PeterNeumann", SIGNATURE, SEED)
    assert signer.key.vkey == VKEY
    assert signer.sign(TEXT) == LINE
    note = read_note(TEXT + "\n" + LINE)
    assert note.text == TEXT
    assert note.is_signed_by(read_vkey(VKEY))
    assert not read_note(TEXT.replace("crypt", "krypt") + "\n" + LINE).is_signed_by(read_vkey(VKEY))


@pytest.mark.parametrize(
    "vkey",
    [
        VKEY,
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",
    ],
)
def test_keys_of_other_implementations_are_read(vkey):
    assert read_vkey(vkey).vkey == vkey


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "a",
        "a+b",
        "a+c74f20a3+",
        VKEY[:-1],
        VKEY.replace("c7", "c8"),
        "Peter Neumann" + VKEY[12:],
        VKEY.replace("ARpc", "AhPc"),
        VKEY + "\n",
        "é" + VKEY,
    ],
)
def test_what_is_no_key_is_refused(vkey):
    with pytest.raises(BadNoteError):
        read_vkey(vkey)


def test_a_checkpoint_is_read_as_it_was_signed():
    signer = Signer.of_seed("market.example/v1/ledger", SIGNATURE, SEED)
    note = read_note(sign_checkpoint("market.example/v1/ledger", 17, ROOT, signer))
    assert note.is_signed_by(signer.key)
    assert (read_checkpoint(note.text).size, read_checkpoint(note.text).root) == (17, ROOT)


def test_a_witness_signs_the_time_and_the_text():
    witness = Signer.of_seed("witness.example", COSIGNATURE, SEED)
    log = Signer.of_seed("log.example", SIGNATURE, bytes(32))
    checkpoint = sign_checkpoint("log.example", 3, ROOT, log)
    text = read_note(checkpoint).text
    line = witness.cosign(text, 1_679_315_147)
    note = read_note(checkpoint + line)
    assert note.is_signed_by(witness.key)
    assert note.is_signed_by(log.key)
    signed = base64.b64decode(line.split(" ")[2])
    message = b"cosignature/v1\ntime 1679315147\n" + text.encode()
    witness.key.public.verify(signed[12:], message)
    later = signed[:4] + (1_679_315_148).to_bytes(8) + signed[12:]
    forged = f"— witness.example {base64.b64encode(later).decode()}\n"
    assert not read_note(checkpoint + forged).is_signed_by(witness.key)
    assert not read_note(checkpoint + line + forged).is_signed_by(witness.key)  # one of a known key is wrong


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "a\n",
        "a\n\n",
        "a\n\nb\n",
        LINE,
        TEXT + LINE,
        TEXT + "\n" + LINE[:-1],
        TEXT + "\n" + LINE + "x",
        TEXT + "\n" + LINE.replace("—", "-"),
        TEXT + "\n" + LINE.replace("x08g", "x08*"),
        "a\r\n\n" + LINE,
        "a\x00\n\n" + LINE,
        TEXT + "\n— a AAAA\n",
        TEXT + "\n" + LINE * 65,
        TEXT + "\n— a+b " + LINE.split(" ")[2],
    ],
)
def test_what_is_no_note_is_refused(content):
    with pytest.raises(BadNoteError):
        read_note(content)


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n",
        "o\n01\nAA==\n",
        "o\n-1\nAA==\n",
        "\n1\nAA==\n",
        "o\n1\nAA==\n",
        "o\n1\n" + "A" * 44 + "\n",
        f"o\n{10**400}\n{base64.b64encode(ROOT).decode()}\n",
        f"o\n{2**63}\n{base64.b64encode(ROOT).decode()}\n",
        f"o\n1\n{base64.b64encode(ROOT).decode()}\n\n",
        f"o\n1\u0663\n{base64.b64encode(ROOT).decode()}\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(BadNoteError):
        read_checkpoint(text)
