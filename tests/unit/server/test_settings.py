"""Settings: typed, checked once, refused with a sentence that names the variable."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from handlers.listings.photos.tools import open_photo_place
from handlers.settings import Settings, SettingsError
from server.__main__ import main as run_process

ROOT = Path(__file__).parents[3]


def test_empty_environment_gives_the_documented_defaults():
    settings = Settings.from_environment({"PATH": "/bin", "HOME": "/root"})
    assert (settings.host, settings.port, settings.home) == ("127.0.0.1", 8080, Path(".local"))
    assert settings.rate_limits is True


def test_values_are_read_in_their_type():
    settings = Settings.from_environment(
        {
            "MNBARA_PORT": "9000",
            "MNBARA_HOME": "/srv/data",
            "MNBARA_RATE_LIMITS": "off",
            "MNBARA_POSTGRES_URL": "postgresql://u@h/d",
            "MNBARA_LOG_LEVEL": "debug",
        }
    )
    assert (settings.port, settings.home, settings.rate_limits) == (9000, Path("/srv/data"), False)
    assert (settings.postgres_url, settings.log_level) == ("postgresql://u@h/d", "debug")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MNBARA_PHOTOS_URL", "photos"),
        ("MNBARA_PHOTOS_URL", "s3://key:secret@bucket"),
        ("MNBARA_PHOTOS_URL", "s3://bucket?endpoint=host"),
        ("MNBARA_TRUSTED_PROXIES", "*"),
        ("MNBARA_TRUSTED_PROXIES", "10.0.0.1, proxy"),
        ("MNBARA_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("MNBARA_PORT", "0"),
        ("MNBARA_PORT", "65536"),
        ("MNBARA_PORT", "-1"),
        ("MNBARA_PORT", ""),
        ("MNBARA_PORT", "eighty"),
        ("MNBARA_PORT", "٨٠"),
        ("MNBARA_PROCESSES", "1e3"),
        ("MNBARA_PROCESSES", "10000000"),
        ("MNBARA_HOME", ""),
        ("MNBARA_HOST", ""),
        ("MNBARA_RATE_LIMITS", "yes"),
        ("MNBARA_LOG_LEVEL", "loud"),
        ("MNBARA_REDIS_URL", "localhost"),
        ("MNBARA_POSTGRES_URL", "http://h/d"),
        ("MNBARA_NATS_URL", "redis://h"),
        ("MNBARA_PUBLIC_URL", "ftp://h"),
        ("MNBARA_PUBLIC_URL", "http://"),
        ("MNBARA_PUBLIC_URL", "http://h:99999"),
        ("MNBARA_NATS_URL", "nats://"),
        ("MNBARA_NATS_URL", "nats://h,"),
        ("MNBARA_REDIS_URL", "redis://a:b:c"),
        ("MNBARA_REDIS_URL", "redis://h:0"),
        ("MNBARA_REDIS_URL", "unix://"),
        ("MNBARA_POSTGRES_URL", "postgresql://h:x/d"),
        ("MNBARA_POSTGRES_URL", "postgresql://u@[::/d"),
        ("MNBARA_HOST", "256.1.1.1"),
        ("MNBARA_HOST", "a..b"),
        ("MNBARA_HOST", "::x"),
        ("MNBARA_HOME", __file__),
        ("MNBARA_SECRETS", f"{__file__}/below"),
        ("MNBARA_PROT", "80"),
        ("MNBARA_", "x"),
    ],
)
def test_bad_or_unknown_setting_is_refused_by_name(name, text):
    with pytest.raises(SettingsError, match=rf"{name}\b"):
        Settings.from_environment({name: text})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://app.example/", "write https://app.example"),
        ("https://app.example/shop", "write https://app.example"),
        ("https://app.example?a=1", "write https://app.example"),
        ("https://app.example:443", "write https://app.example"),
        ("http://app.example:80", "write http://app.example"),
        ("app.example", "write https://app.example"),
        ("HTTPS://App.Example", "write https://app.example"),
        ("https://me@app.example", "write https://app.example"),
        ("https://bücher.example", "write https://xn--bcher-kva.example"),
        ("https://ok.example, https://*.app.example", "write each origin, or * alone for any"),
        ("https://", "write one as https://app.example"),
        ("https://a b", "write one as https://app.example"),
        ("https://a.example https://b.example", "write one as https://app.example"),
        ("https://app.example:port", "write one as https://app.example"),
    ],
)
def test_an_origin_that_can_never_match_is_refused_with_what_to_write(text, told):
    with pytest.raises(SettingsError, match=r"^MNBARA_ALLOWED_ORIGINS: ") as refused:
        Settings.from_environment({"MNBARA_ALLOWED_ORIGINS": text})
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["", "*", "https://app.example,http://localhost:3000", "capacitor://localhost", "http://[::1]:8080"],
)
def test_an_origin_that_browsers_send_is_taken(text):
    assert Settings.from_environment({"MNBARA_ALLOWED_ORIGINS": text}).allowed_origins == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MNBARA_POSTGRES_URL", "postgresql://mnbara@/mnbara?host=/run/x"),
        ("MNBARA_POSTGRES_URL", "postgresql:///d?host=/nowhere"),
        ("MNBARA_POSTGRES_URL", "postgresql://u:p@a:5432,b:5433/d"),
        ("MNBARA_REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("MNBARA_REDIS_URL", "rediss://:secret@h:6379/0"),
        ("MNBARA_NATS_URL", "nats://u:p@a:4222,nats://b"),
        ("MNBARA_HOST", "::1"),
        ("MNBARA_HOST", "db-1.internal."),
    ],
)
def test_addresses_that_drivers_take_are_taken(name, text):
    Settings.from_environment({name: text})


def test_empty_url_means_a_private_engine():
    assert Settings.from_environment({"MNBARA_REDIS_URL": ""}).redis_url == ""


def test_description_lists_every_setting_with_its_default():
    text = Settings.describe()
    for field in fields(Settings):
        assert f"MNBARA_{field.name.upper()} " in text
    assert "(default: 8080)" in text
    assert "(default: on)" in text


def test_command_line_refuses_a_bad_setting_with_exit_2():
    told = subprocess.run(
        [sys.executable, "-m", "server.cli", "down"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "MNBARA_PORT": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert "MNBARA_PORT" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_setting_of_what_is_not_built_is_accepted_and_says_so():
    settings = Settings.from_environment(
        {"MNBARA_VAULT_ADDR": "http://v", "MNBARA_ELASTICSEARCH_URL": "http://e"}
    )
    assert settings.without_effect == ["MNBARA_ELASTICSEARCH_URL", "MNBARA_VAULT_ADDR"]
    assert Settings().without_effect == []
    unbuilt = [line.split()[0] for line in Settings.describe().splitlines() if "NOT BUILT YET" in line]
    assert unbuilt == [f"MNBARA_{name}" for name in ("ELASTICSEARCH_URL", "VAULT_ADDR")]


@pytest.mark.parametrize("text", ["three", "-1", "9999999"])
def test_a_heartbeat_needs_an_open_descriptor(text, capsys):
    with pytest.raises(SystemExit) as ended:
        run_process(["serve", f"--heartbeat={text}"])
    assert ended.value.code == 2
    assert f"{text!r} is no open descriptor" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["serve", "worker"])
def test_a_photo_folder_that_cannot_be_made_is_a_sentence(kind, tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "photos"
    own = {name: text for name, text in os.environ.items() if not name.startswith("MNBARA_")}
    environment = {**own, "MNBARA_HOME": str(tmp_path), "MNBARA_PHOTOS_URL": folder.as_uri()}
    command = [sys.executable, "-m", "server", kind]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == (
        "mnbara: MNBARA_PHOTOS_URL must lead to a folder that can be written;"
        f" {folder} cannot: Not a directory\n"
    )


def test_a_photo_folder_that_cannot_be_written_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)  # root may write everywhere
    with pytest.raises(SettingsError, match=r"^MNBARA_PHOTOS_URL must .* cannot: Permission denied$"):
        open_photo_place(Settings(photos_url=tmp_path.as_uri()))
