"""The verbs: what each tells, takes and refuses, and that the shell knows the same ones."""

import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import textwrap
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from server.cli.__main__ import VERBS, help_text, main
from server.cli.verbs import audit_auction, check, load_tools, lock
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
    assert [line.split()[0] for line in lines] == [verb.name for verb in VERBS]


def test_the_shell_knows_every_verb_and_which_packages_it_needs():
    script = (ROOT / "mnbara").read_text()
    for needs_dev, lock_file in ((True, "requirements-dev.lock"), (False, "requirements.lock")):
        listed = re.search(rf"^(.+)\) lock={lock_file} ;;$", script, re.MULTILINE)[1]
        ours = {verb.name for verb in VERBS if verb.needs_dev is needs_dev and verb.name != "help"}
        assert set(listed.split(" | ")) == ours


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_tells_its_meaning_arguments_and_an_example_and_runs_nothing(verb, capsys):
    if verb.hands_on_to and verb.hands_on_to != "pytest":
        told = _help_of(verb.hands_on_to, capsys)
    elif verb.hands_on_to:
        told = verb.parser().format_help()
    else:
        assert main([verb.name, "--help"]) == main([verb.name, "-h"]) == 0
        told = capsys.readouterr().out
    assert told.startswith(f"usage: ./mnbara {verb.name} ")
    assert "show this help message" in told
    assert told.endswith(f"\nexample: {verb.example}\n")
    if not verb.hands_on_to:
        assert verb.meaning[1:] in told
        alone = re.sub(r"(--\w+) [A-Z]+", r"\1", verb.words)  # an option's value stands on the option's line
        for word in re.findall(r"--\w+|[A-Z_]{2,}", alone):
            assert re.search(rf"^  {word}\b", told, re.MULTILINE), f"{word} is not explained"


def _help_of(module, capsys):
    try:
        entry = importlib.import_module(f"{module}.__main__")
    except ModuleNotFoundError:
        entry = importlib.import_module(module)
    with pytest.raises(SystemExit) as ended:
        entry.main(["--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_of_the_tests_is_ours_and_then_pytests_and_installs_nothing(monkeypatch, capsys):
    module = importlib.import_module("server.cli.verbs.test")
    monkeypatch.setattr(module, "hand_over", lambda name, words: sys.stdout.write(f"{name} {words}"))
    monkeypatch.setattr(module, "install_engines", lambda *_: pytest.fail("installed something"))
    main(["test", "-x", "--help"])
    told = capsys.readouterr().out
    assert told.startswith("usage: ./mnbara test [-h]")
    assert told.endswith("pytest ['--help']")


@pytest.mark.parametrize(
    "words", [["bench", "bids", "--processes", "2"], ["soak", "--help"], ["conformance", "-x"]]
)
def test_arguments_of_other_command_lines_are_handed_on_as_they_are(words, monkeypatch):
    handed = []
    for name in ("load_tools", "conformance"):
        module = importlib.import_module(f"server.cli.verbs.{name}")
        monkeypatch.setattr(module, "hand_over", lambda _module, rest: handed.append(rest) or 0)
    assert main(words) == 0
    assert handed == [words[1:]]


def test_lock_runs_the_compiler_with_the_newest_versions_when_asked(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(lock, "tool", lambda _name: "true")
    run_before = subprocess.run
    monkeypatch.setattr(lock.subprocess, "run", lambda *a, **k: ran.append(a[0]) or run_before(*a, **k))
    assert main(["lock", "--upgrade"]) == 0
    assert ["--upgrade" in command for command in ran] == [True, True]
    assert main(["lock"]) == 0
    assert ["--upgrade" in command for command in ran[2:]] == [False, False]
    assert main(["lock", "--help"]) == 0
    assert main(["lock", "--up"]) == 2
    assert len(ran) == 4
    assert "usage: ./mnbara lock" in capsys.readouterr().err


DEV_LOCK, LOCK = (
    {line.partition("==")[0] for line in (ROOT / name).read_text().splitlines() if line[:1].isalnum()}
    for name in ("requirements-dev.lock", "requirements.lock")
)

WITHOUT_DEV = textwrap.dedent("""
    import importlib, pkgutil, sys

    class Refuse:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in HIDDEN:
                raise ModuleNotFoundError(f"{name} is not part of requirements.lock", name=name)

    HIDDEN = set(sys.argv[1].split(","))
    sys.meta_path.insert(0, Refuse())
    import load.demo, server
    for package in (server, load.demo):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    try:
        import picows
    except ModuleNotFoundError:
        print("imported", len(sys.modules))
""")


def test_verbs_of_the_users_set_import_nothing_of_the_developers():
    hidden = [
        module
        for module, names in packages_distributions().items()
        if all(re.sub(r"[-_.]+", "-", name).lower() in DEV_LOCK - LOCK for name in names)
    ]
    assert {"picows", "locust", "pytest", "mypy"} <= set(hidden)
    ours = [v.hands_on_to for v in VERBS if v.hands_on_to and not v.needs_dev]
    assert ours == ["load.demo"], "import the new one below, too"
    command = [sys.executable, "-c", WITHOUT_DEV, ",".join(hidden)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.stdout.startswith("imported "), told.stderr


def test_demo_and_audit_find_the_running_system_of_the_home(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(load_tools, "hand_over", lambda _module, words: asked.append(words) or 0)
    monkeypatch.setattr(audit_auction, "audit_auction", lambda url, _id: asked.append(url) or (True, "equal"))
    auction = "018f6f00-0000-7000-8000-000000000001"
    home = Home(tmp_path / "home")
    home.take()
    try:
        home.tell({"pid": os.getpid(), "url": "http://127.0.0.1:9123"})
        assert main(["demo", "--users", "3"]) == 0
        assert main(["audit-auction", auction]) == 0
        assert asked == [["--url", "http://127.0.0.1:9123", "--users", "3"], "http://127.0.0.1:9123"]
        assert main(["audit-auction", auction, "--url", "http://127.0.0.1:7"]) == 0
        assert asked[2] == "http://127.0.0.1:7"
    finally:
        home.release()
    monkeypatch.setenv("MNBARA_PORT", "9124")
    assert main(["audit-auction", auction]) == 0
    assert asked[3] == "http://127.0.0.1:9124"


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
    "words",
    [
        ["up", "now"],
        ["down", "x"],
        ["migrate", "x"],
        ["check", "x"],
        ["where"],
        ["reset", "--no"],
        ["grant", "ada@example.org"],
        ["grant", "ada@example.org", "emperor"],
        ["audit-auction", "7"],
        ["replay", "x"],
        ["replay", "99999999999999999999999"],
        ["replay", "-3"],
        ["replay", "3", "--all"],
        ["lock", "--help-me"],
    ],
)
def test_wrong_arguments_are_refused_with_exit_2(words, capsys):
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith("mnbara: ")
    assert f"usage: ./mnbara {words[0]}" in told


def test_where_lists_the_files_of_a_domain_in_the_order_in_which_a_command_travels(capsys):
    assert main(["where", "auctions"]) == 0
    listed = capsys.readouterr().out.splitlines()
    way = [
        "protocols/auctions/commands.py",
        "handlers/auctions/bidding/place_bid.py",
        "storage/auctions/bids_postgres.py",
        "storage/migrations/20261123T0015_create_auctions.sql",
        "tests/integration/auctions/test_bidding.py",
        "load/scenarios/auctions.py",
        "docs/auctions.md",
    ]
    assert sorted(way, key=listed.index) == way
    assert not [path for path in listed if path.startswith("handlers/listings/")]
    assert main(["where", "carpets"]) == 2
    told = capsys.readouterr().err
    assert "no domain 'carpets'; domains: auctions, auth, ledger, listings" in told


@pytest.mark.parametrize(
    "url",
    ["postgresql://u@127.0.0.1:1/d", "postgresql://u:secret@127.0.0.1:1/d", "postgresql:///d?host=/nowhere"],
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


@pytest.mark.parametrize(
    "words", [["replay"], ["replay", "3"], ["replay", "--all"], ["grant", "a@b.example", "admin"]]
)
def test_verbs_on_engines_that_are_away_say_which_setting_leads_there(words, capsys, monkeypatch):
    monkeypatch.setenv("MNBARA_POSTGRES_URL", "postgresql://u:secret@127.0.0.1:1/d")
    assert main(words) == 1
    told = capsys.readouterr().err
    assert re.fullmatch(
        r"mnbara: PostgreSQL cannot be used \(.*\); start it, or set MNBARA_POSTGRES_URL\n", told
    )
    assert "secret" not in told


@pytest.mark.parametrize(
    "verb", ["up", "reset", "down", "migrate", "replay", "grant", "demo", "audit-auction", "verify"]
)
def test_a_home_that_is_a_file_is_refused_in_one_line(verb, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MNBARA_HOME", str(tmp_path / "file"))
    words = {
        "grant": ["a@b.example", "admin"],
        "audit-auction": ["018f6f00-0000-7000-8000-000000000001"],
        "verify": ["f"],
    }
    assert main([verb, *words.get(verb, [])]) == 2
    assert capsys.readouterr().err == f"mnbara: MNBARA_HOME must be a folder; {tmp_path / 'file'} is a file\n"


def test_a_folder_that_cannot_be_made_is_told_in_one_line(capsys, monkeypatch):
    monkeypatch.setenv("MNBARA_HOME", "/proc/mnbara")
    assert main(["up"]) == 1
    assert re.fullmatch(r"mnbara: .*\(/proc/mnbara\)\n", capsys.readouterr().err)


def test_reset_that_can_ask_nobody_deletes_nothing(tmp_path, capsys, monkeypatch):
    photos = tmp_path / "home" / "photos"
    photos.mkdir(parents=True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    assert main(["reset"]) == 2
    assert "reset --yes" in capsys.readouterr().err
    assert photos.exists()


def test_down_without_a_running_up_says_so(capsys):
    assert main(["down"]) == 0
    assert "nothing runs in" in capsys.readouterr().out


def test_reset_deletes_the_data_and_nothing_else(tmp_path, capsys):
    home = tmp_path / "home"
    for name in ("engines/postgres", "secrets", "photos/ab", "logs", "metrics", "mine"):
        (home / name).mkdir(parents=True)
    assert main(["reset", "--yes"]) == 0
    assert "engines, secrets, photos, logs, metrics" in capsys.readouterr().out
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
    monkeypatch.setattr(check, "ROOT", tmp_path)
    monkeypatch.setattr(check, "tool", lambda _name: "true")
    monkeypatch.setattr(check.shutil, "which", lambda _name: None)
    assert main(["check"]) == 0
    with (tmp_path / "protocols" / "listings" / "stock.py").open("a") as stock:
        stock.write('\n\nclass SecondOwner(Refusal):\n    """Twice."""\n\n')
        stock.write('    code, number, status = "second_owner", 400, 400\n')
    assert main(["check"]) == 1
    told = capsys.readouterr().out
    assert "second_owner: 400 is invalid_input of protocols.errors" in told
    assert told.endswith("check failed: catalogue\n")
