"""The verbs: what each refuses, and that the shell's help and ours are the same."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.cli import __main__ as command_line
from server.cli.__main__ import VERBS, help_text, main
from server.local.home import Home, HomeError
from server.local.programs import free_port

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    for name in [n for n in os.environ if n.startswith("MNBARA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MNBARA_HOME", str(tmp_path / "home"))


def shell(*words, cwd=ROOT):
    return subprocess.run([ROOT / "mnbara", *words], cwd=cwd, capture_output=True, text=True, check=False)


def test_shell_help_is_the_help_of_the_command_line():
    told = shell("help")
    assert told.returncode == 0
    assert told.stdout.strip() == help_text()
    assert shell().stdout == told.stdout == shell("--help").stdout


def test_help_has_a_line_for_each_verb():
    lines = help_text().splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(VERBS)


def test_unknown_verb_gets_a_message_the_help_and_exit_2(capsys):
    told = shell("fly")
    assert told.returncode == 2
    assert "unknown verb 'fly'" in told.stderr
    assert "where DOMAIN" in told.stderr
    assert main(["fly"]) == 2
    assert "unknown verb 'fly'" in capsys.readouterr().err


def test_shell_works_from_another_folder_through_a_link_with_spaces(tmp_path):
    link = tmp_path / "with space" / "mnbara"
    link.parent.mkdir()
    link.symlink_to(ROOT / "mnbara")
    told = subprocess.run([link, "help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.stdout.strip() == help_text()


@pytest.mark.parametrize(
    "words", [["up", "now"], ["down", "x"], ["migrate", "x"], ["check", "x"], ["where"], ["reset", "--no"]]
)
def test_wrong_arguments_are_refused_with_exit_2(words, capsys):
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("mnbara: ")


def test_where_lists_the_files_of_a_domain_layer_by_layer(capsys):
    assert main(["where", "settings"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert "handlers/settings.py" in listed
    assert "tests/unit/server/test_settings.py" in listed
    assert main(["where", "carpets"]) == 2
    assert "no file belongs to 'carpets'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["postgresql://u@127.0.0.1:1/d", "postgresql://u:secret@[::/d", "postgresql:///d?host=/nowhere"]
)
@pytest.mark.parametrize("verb", ["migrate", "up"])
def test_database_out_of_reach_is_told_in_one_line_without_the_password(verb, url, capsys, monkeypatch):
    for name in ("POSTGRES", "REDIS", "NATS"):
        scheme = {"POSTGRES": url, "REDIS": "redis://127.0.0.1:1", "NATS": "nats://127.0.0.1:1"}[name]
        monkeypatch.setenv(f"MNBARA_{name}_URL", scheme)
    monkeypatch.setenv("MNBARA_PORT", str(free_port()))
    assert main([verb]) == 1
    told = capsys.readouterr().err
    assert told.startswith("mnbara: cannot migrate the database")
    assert "secret" not in told


def test_down_without_a_running_up_says_so(capsys):
    assert main(["down"]) == 0
    assert "nothing runs in" in capsys.readouterr().out


def test_reset_deletes_the_data_and_nothing_else(tmp_path, capsys):
    home = tmp_path / "home"
    for name in ("engines/postgres", "secrets", "logs", "mine"):
        (home / name).mkdir(parents=True)
    assert main(["reset", "--yes"]) == 0
    assert "engines" in capsys.readouterr().out
    assert {p.name for p in home.iterdir()} == {"mine", "up.lock"}


def test_reset_and_a_second_up_are_refused_while_one_runs(tmp_path, capsys):
    home = Home(tmp_path / "home")
    home.take()
    home.tell({"pid": 4242, "url": "http://127.0.0.1:8080"})
    try:
        for words in (["reset", "--yes"], ["up"]):
            assert main(words) == 1
            told = capsys.readouterr().err
            assert "4242" in told
            assert "http://127.0.0.1:8080" in told
    finally:
        home.release()


def test_down_kills_no_process_that_does_not_hold_the_lock(tmp_path):
    home = Home(tmp_path / "home")
    home.take()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        home.tell({"pid": bystander.pid})
        with pytest.raises(HomeError, match="does not hold it"):
            Home(tmp_path / "home").stop_running()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
        home.release()


def test_a_verb_whose_reader_has_enough_ends_quietly():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "server.cli", "where", "auctions"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_check_finds_two_refusals_with_one_number(tmp_path, monkeypatch, capsys):
    for folder in ("handlers", "protocols", "realtime", "server", "storage"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    monkeypatch.setattr(command_line, "_tool", lambda _name: "true")
    monkeypatch.setattr(command_line.shutil, "which", lambda _name: None)
    assert main(["check"]) == 0
    with (tmp_path / "protocols" / "listings" / "stock.py").open("a") as stock:
        stock.write('\n\nclass SecondOwner(Refusal):\n    """Twice."""\n\n')
        stock.write('    code, number, status = "second_owner", 400, 400\n')
    assert main(["check"]) == 1
    told = capsys.readouterr().out
    assert "error code second_owner 400 is taken" in told
    assert told.endswith("check failed: catalogue\n")
