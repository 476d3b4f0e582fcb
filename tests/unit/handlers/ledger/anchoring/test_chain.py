"""What the settings say of the chain, and what they may not say."""

import subprocess
import sys
from pathlib import Path

import pytest

from handlers.ledger.anchoring.chain import GWEI, ORDER, Chain, read_chain_settings
from handlers.settings import Settings, SettingsError

ROOT = Path(__file__).parents[5]
KEY = "ab" * 32
CONTRACT = "eip155:1:0x" + "Ab" * 20


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "chain.key"
    file.write_text(KEY)
    return file


def settings_of(key_file, **changed) -> Settings:
    told = {
        "CHAIN_URL": "http://127.0.0.1:8545",
        "CHAIN_KEY": str(key_file),
        "CHAIN_CONTRACT": CONTRACT,
    } | changed
    return Settings.from_environment(
        {f"MNBARA_{name}": text for name, text in told.items() if text is not None}
    )


def test_a_chain_is_read_from_the_settings(key_file):
    limits, key = read_chain_settings(settings_of(key_file))
    assert limits is not None
    assert (str(limits.place), limits.interval_ms, limits.fee_max) == (
        CONTRACT.lower(),
        3_600_000,
        300 * GWEI,
    )
    assert key == KEY
    changed = settings_of(key_file, CHAIN_INTERVAL_S="60", CHAIN_FEE_MAX_GWEI="7")
    limits, _ = read_chain_settings(changed)
    assert limits is not None
    assert (limits.interval_ms, limits.fee_max) == (60_000, 7 * GWEI)


def test_without_a_chain_nothing_is_anchored():
    assert read_chain_settings(Settings()) == (None, "")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"CHAIN_URL": None}, "MNBARA_CHAIN_KEY is set and MNBARA_CHAIN_URL is not"),
        ({"CHAIN_URL": None, "CHAIN_KEY": None}, "MNBARA_CHAIN_CONTRACT is set and MNBARA_CHAIN_URL is not"),
        ({"CHAIN_URL": "ws://127.0.0.1"}, "MNBARA_CHAIN_URL must begin with http:// or https://"),
        ({"CHAIN_KEY": None}, "needs MNBARA_CHAIN_KEY"),
        ({"CHAIN_KEY": "/nowhere/key"}, "/nowhere/key cannot be read: No such file"),
        ({"CHAIN_KEY": "/"}, "cannot be read: Is a directory"),
        ({"CHAIN_CONTRACT": None}, "needs MNBARA_CHAIN_CONTRACT"),
        ({"CHAIN_CONTRACT": "0x" + "11" * 20}, "MNBARA_CHAIN_CONTRACT must be eip155:CHAIN:ADDRESS"),
        ({"CHAIN_INTERVAL_S": "0"}, "must be 1 or more"),
        ({"CHAIN_FEE_MAX_GWEI": "0"}, "must be 1 or more"),
    ],
)
def test_settings_that_do_not_fit_stop_the_start_with_a_sentence(key_file, changed, told):
    with pytest.raises(SettingsError) as caught:
        read_chain_settings(settings_of(key_file, **changed))
    assert told in str(caught.value)


def test_a_key_is_64_digits_in_range_and_never_repeated(key_file):
    for good in (KEY, f"0x{KEY}\n", f"  {KEY.upper()} \n", f"{ORDER - 1:064x}"):
        key_file.write_text(good)
        _, key = read_chain_settings(settings_of(key_file))
        assert key.lower() == good.strip().removeprefix("0x").lower()
    for bad in (
        "",
        KEY[:-1],
        KEY + "0",
        f"{KEY}\n{KEY}",
        "0" * 64,
        f"{ORDER:064x}",
        "f" * 64,
        "zz" * 32,
        "\xff" * 64,
    ):
        key_file.write_text(bad)
        with pytest.raises(SettingsError) as caught:
            read_chain_settings(settings_of(key_file))
        assert "64 hexadecimal digits" in str(caught.value)
        assert bad[:32] not in str(caught.value) or not bad
    assert KEY not in repr(Chain(None, "http://a", KEY))


@pytest.mark.slow
def test_web3_is_imported_only_where_a_chain_is_asked():
    program = (
        "import sys; import server.lifecycle, server.cli.__main__;"
        " print([name for name in ('web3', 'eth_account', 'vyper', 'eth_tester') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
