"""The verbs of `./mnbara`: one function and one help line each. Needs nothing but a filled `.venv`."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from handlers.settings import Settings, SettingsError
from protocols.errors import Refusal
from protocols.topics import parse_id
from server.cli.tiers import pytest_arguments
from server.local.engines import ENGINES, LocalEngines
from server.local.home import Home, HomeError
from server.local.install import install_engines
from server.local.programs import EngineError
from server.local.up import Progress, UpError, migrate_or_explain, up
from storage.platform.migrate import MigrationError

ROOT = Path(__file__).resolve().parents[2]

LAYERS = ("protocols", "handlers", "storage", "realtime", "server", "load", "tests", "web", "docs")
"""Where `where` looks, in the order in which a command travels."""


class UsageError(Exception):
    """The command line is wrong; the message says what is right."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: its help line and what it does with its arguments."""

    words: str
    meaning: str
    run: Callable[[Sequence[str]], int]


def _up(arguments: Sequence[str]) -> int:
    _expect_nothing(arguments)
    return up(Settings.from_environment())


def _down(arguments: Sequence[str]) -> int:
    _expect_nothing(arguments)
    home = Home(Settings.from_environment().home.resolve())
    print("stopped" if home.stop_running() else f"nothing runs in {home.folder}")
    return 0


def _reset(arguments: Sequence[str]) -> int:
    if list(arguments) not in ([], ["--yes"]):
        raise UsageError("usage: ./mnbara reset [--yes]")
    home = Home(Settings.from_environment().home.resolve())
    if not home.is_held() and sys.stdin.isatty() and not arguments:
        answer = input(f"Delete all data in {home.folder}? Type yes: ")
        if answer.strip() != "yes":
            print("nothing deleted")
            return 1
    removed = home.wipe()
    print(f"deleted from {home.folder}: {', '.join(removed) or 'nothing was there'}")
    return 0


def _migrate(arguments: Sequence[str]) -> int:
    _expect_nothing(arguments)
    settings = Settings.from_environment()
    if settings.postgres_url:
        applied = migrate_or_explain(settings.postgres_url)
    else:
        say = Progress()
        engines = LocalEngines(settings.home, names=("postgres",), say=say)
        install_engines(engines.names, say)
        runs_already = engines.postgres_answers()
        try:
            url = engines.postgres_url("mnbara") if runs_already else engines.start().postgres_url
            applied = migrate_or_explain(url)
        finally:
            if not runs_already:
                engines.stop()
    print("\n".join(f"applied {name}" for name in applied) or "nothing to apply")
    return 0


def _test(arguments: Sequence[str]) -> int:
    given = Settings.from_environment()
    names = tuple(name for name in ENGINES if not getattr(given, f"{name}_url"))
    say = Progress()
    install_engines(names, say)
    _install_sdk(say)
    return _become("pytest", pytest_arguments(arguments))


def _install_sdk(say: Progress) -> None:
    """Fetch the JavaScript SDK and AsyncAPI's schema for their tests, where there is npm; else these are skipped."""
    folder = ROOT / "tests" / "js"
    npm = shutil.which("npm")
    packages = [folder / "node_modules" / name for name in ("centrifuge", "@asyncapi/specs")]
    if npm is None or all(package.is_dir() for package in packages):
        return
    say("installing the JavaScript SDK for its tests (npm ci)")
    fetched = subprocess.run([npm, "ci", "--silent"], check=False, cwd=folder)  # noqa: S603 - npm of the PATH
    if fetched.returncode != 0:
        say("npm ci failed: the tests of the JavaScript SDK will be skipped")


def _check(arguments: Sequence[str]) -> int:
    """Run every check, also after one failed; print what failed and how long each took."""
    _expect_nothing(arguments)
    checks = [
        ("format", [_tool("ruff"), "format", "--check", "."]),
        ("lint", [_tool("ruff"), "check", "."]),
        ("types", [_tool("mypy")]),
        ("imports", [_tool("lint-imports")]),
        ("spelling", [_tool("codespell")]),
        (
            "catalogue",
            [sys.executable, "-c", "import server.domains"],
        ),  # refuses numbers and names used twice
    ]
    if shutil.which("shellcheck"):
        checks.append(("shell", ["shellcheck", "mnbara", ".ci/run"]))
    failed = []
    for name, command in checks:
        started_at = time.monotonic()
        result = subprocess.run(  # noqa: S603 - our own tools
            command, check=False, cwd=ROOT, text=True, capture_output=True
        )
        verdict = "ok" if result.returncode == 0 else "FAILED"
        print(f"{name:<10} {verdict:<7} {time.monotonic() - started_at:5.1f} s", flush=True)
        if result.returncode != 0:
            failed.append(name)
            print((result.stdout + result.stderr).strip(), flush=True)
    print(f"check failed: {', '.join(failed)}" if failed else "check passed")
    return 1 if failed else 0


def _demo(arguments: Sequence[str]) -> int:
    return _become("load.demo", arguments)


def _bench(arguments: Sequence[str]) -> int:
    return _become("load.benchmarks", arguments)


def _soak(arguments: Sequence[str]) -> int:
    return _become("load.soak", arguments)


def _conformance(arguments: Sequence[str]) -> int:
    _expect_nothing(arguments)
    return _become("tests.conformance", arguments)


def _conformance_server(arguments: Sequence[str]) -> int:
    return _become("tests.conformance.server", arguments)


def _grant(arguments: Sequence[str]) -> int:
    from server.cli.grant import ROLES, grant

    email, *roles = arguments or [""]
    if not roles or not set(roles) <= ROLES:
        raise UsageError(f"usage: ./mnbara grant EMAIL ROLE...; roles: {', '.join(sorted(ROLES))}")
    settings = Settings.from_environment()
    private = LocalEngines(settings.home)
    if not settings.postgres_url and not private.postgres_answers():
        raise UpError("nothing runs here; start the system with ./mnbara up first")
    postgres_url = settings.postgres_url or private.postgres_url("mnbara")
    redis_url = settings.redis_url or private.redis_url()
    try:
        print(asyncio.run(grant(postgres_url, redis_url, email, roles)))
    except Refusal as refusal:
        raise UpError(refusal.detail) from None
    return 0


def _audit_auction(arguments: Sequence[str]) -> int:
    from server.cli.audit_auction import AuditUnavailableError, audit_auction

    auction_id, *rest = arguments or [""]
    parsed = parse_id(auction_id)
    if parsed is None or (rest and (len(rest) != 2 or rest[0] != "--url")):
        raise UsageError("usage: ./mnbara audit-auction ID [--url URL]")
    try:
        equal, text = audit_auction(rest[1] if rest else Settings.from_environment().url, parsed)
    except AuditUnavailableError as error:
        raise UpError(str(error)) from None
    print(text)
    return 0 if equal else 1


def _where(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        raise UsageError("usage: ./mnbara where DOMAIN")
    domain = arguments[0]
    files = [path for layer in LAYERS for path in _files_of(domain, ROOT / layer)]
    if not files:
        known = sorted(p.name for p in (ROOT / "handlers").iterdir() if p.is_dir() and p.name[0] != "_")
        raise UsageError(f"no file belongs to {domain!r}; domains: {', '.join(known) or 'none yet'}")
    for path in files:
        print(path.relative_to(ROOT))
    return 0


def _files_of(domain: str, layer: Path) -> list[Path]:
    """Return the files below a layer with the domain as a folder's name or a word of their own name."""
    found = []
    for path in sorted(layer.rglob("*")):
        parts = path.relative_to(ROOT).parts
        words = path.stem.split("_")
        ours = domain in parts or domain in words or domain.removesuffix("s") in words
        if ours and path.is_file() and "__pycache__" not in parts and "node_modules" not in parts:
            found.append(path)
    return found


def _lock(arguments: Sequence[str]) -> int:
    """Renew both locks from pyproject.toml; `--upgrade` takes the newest versions."""
    options = ["--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11"]
    groups: dict[str, list[str]] = {"requirements.lock": [], "requirements-dev.lock": ["--group", "dev"]}
    for target, group in groups.items():
        command = [_tool("uv"), "pip", "compile", "pyproject.toml", *options, *group, *arguments]
        result = subprocess.run(  # noqa: S603 - our own tool
            [*command, "-o", target], check=False, cwd=ROOT, stdout=subprocess.DEVNULL
        )
        if result.returncode != 0:
            return result.returncode
        print(f"wrote {target}")
    return 0


def _tool(name: str) -> str:
    """Return the path of a development tool in `.venv`."""
    return str(Path(sys.executable).parent / name)


def _become(module: str, arguments: Sequence[str]) -> int:
    """Hand this process over to a module, so that its output, signals and exit code are its own."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise UsageError(f"the module {module} is not part of this checkout")
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - our own module


def _expect_nothing(arguments: Sequence[str]) -> None:
    if arguments:
        raise UsageError(f"unexpected: {' '.join(arguments)}")


def _help(_arguments: Sequence[str]) -> int:
    print(help_text())
    return 0


VERBS = {
    "up": Verb("up", "run the whole system here; installs what is missing, Ctrl-C stops it", _up),
    "down": Verb("down", "stop the system that `up` runs", _down),
    "reset": Verb("reset [--yes]", "delete all data of this home folder", _reset),
    "test": Verb(
        "test [PYTEST ARGS]",
        "run the first tier of tests on private engines; the second: --slow (docs/testing.md)",
        _test,
    ),
    "check": Verb("check", "format, lint, types, import rules, spelling, error catalogue", _check),
    "demo": Verb("demo", "fifty users bid on the running server, shown live", _demo),
    "bench": Verb("bench [NAME]", "measure, and print the table with its baseline", _bench),
    "soak": Verb(
        "soak [NAME]",
        "kill, restart and storm a private system under load; nothing may be lost: [--minutes 3]",
        _soak,
    ),
    "conformance": Verb(
        "conformance", "run the official SDK's suite against the realtime core", _conformance
    ),
    "conformance-server": Verb(
        "conformance-server",
        "serve the rules such suites expect: [--insecure] [--port 8000]",
        _conformance_server,
    ),
    "migrate": Verb("migrate", "bring the database up to date", _migrate),
    "grant": Verb(
        "grant EMAIL ROLE...", "give an account the roles support or admin, on the running system", _grant
    ),
    "audit-auction": Verb(
        "audit-auction ID [--url URL]",
        "check an auction's result from its public audit alone; exit 0: equal",
        _audit_auction,
    ),
    "where": Verb("where DOMAIN", "list the files of a domain in every layer", _where),
    "lock": Verb("lock [--upgrade]", "renew requirements.lock and requirements-dev.lock", _lock),
    "help": Verb("help", "this list; settings: python -m server --help", _help),
}


def help_text() -> str:
    """Return the list of verbs, a line each; `./mnbara help` prints the same without Python."""
    return "\n".join(["usage: ./mnbara VERB", *(f"  {v.words:<20} {v.meaning}" for v in VERBS.values())])


def main(words: Sequence[str]) -> int:
    """Run one verb; return the exit code: 1 for what cannot be done now, 2 for a wrong command or setting."""
    verb = VERBS.get(words[0]) if words else VERBS["help"]
    if verb is None:
        print(f"mnbara: unknown verb {words[0]!r}\n{help_text()}", file=sys.stderr)
        return 2
    try:
        code = verb.run(words[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough of it (`| head`); at exit Python would flush and complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # what a shell reports of a program that SIGPIPE ended
    except (UsageError, SettingsError) as error:
        print(f"mnbara: {error}", file=sys.stderr)
        return 2
    except (EngineError, HomeError, UpError, MigrationError) as error:
        print(f"mnbara: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
