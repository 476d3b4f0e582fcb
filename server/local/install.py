"""Install what the engines need from the distribution, when it is missing; leave no system server running.

The servers of Debian's packages start by themselves and make a database cluster; both are held back while we
install, because ours run privately. NATS comes with the Python packages.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from server.local.programs import EngineError, find_postgis, find_program

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian asks this program before a package starts its service; 101 means no."""

NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/mnbara.conf")
"""Read by postgresql-common when a server package is installed."""

LOCK = Path(__file__).resolve().parents[2] / ".local" / "install.lock"

APT_WAIT_S = 300
"""How long we wait for another apt that is at work."""

_POLICY_TEXT = """#!/bin/sh
case "$1" in
  postgresql | postgresql@* | redis-server) exit 101 ;;
  *) exit 0 ;;
esac
"""


def missing_engines(names: tuple[str, ...]) -> list[str]:
    """Return which programs or parts the named engines lack here, in words."""
    missing = []
    if "postgres" in names:
        missing += [name for name in ("postgres", "initdb", "psql") if find_program(name) is None]
        if not find_postgis():
            missing.append("postgis")
    if "redis" in names and find_program("redis-server") is None:
        missing.append("redis-server")
    return missing


def install_engines(names: tuple[str, ...], say: Callable[[str], None]) -> None:
    """Install the missing engines with apt, if any. Raises EngineError saying what to do."""
    if "nats" in names and find_program("nats-server") is None:
        raise EngineError(
            "nats-server is missing: it belongs to .venv/bin; remove .venv and run ./mnbara again"
        )
    if not missing_engines(names):
        return
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:  # two at once: the second finds everything there
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(missing_engines(names), names, say)


def _install(missing: list[str], names: tuple[str, ...], say: Callable[[str], None]) -> None:
    if not missing:
        return
    say(f"not installed here: {', '.join(missing)}")
    if shutil.which("apt-get") is None:
        raise EngineError(
            "install PostgreSQL 15+ with PostGIS 3 and Redis 7 with this system's package manager"
        )
    root = _root_prefix(missing)
    say("reading the distribution's package lists (apt-get update)")
    _apt(root, "update")
    packages = _packages(missing)
    if any(name.startswith("postgresql") for name in packages):
        say("installing postgresql-common (without a system cluster)")
        _apt(root, "install", "postgresql-common")
    say(f"installing {' '.join(packages)}")
    added = _hold_services(root)
    try:
        _apt(root, "install", *packages)
    finally:
        for path in added:
            _as_root(root, "rm", "-f", str(path))
        if "redis-server" in packages:
            _stop_redis(root)
    still = missing_engines(names)
    if still:
        raise EngineError(f"still missing after the installation: {', '.join(still)}")


def _packages(missing: list[str]) -> list[str]:
    packages = []
    if set(missing) - {"redis-server"}:
        version = _postgres_version()
        packages = [f"postgresql-{version}", f"postgresql-{version}-postgis-3"]
    if "redis-server" in missing:
        packages.append("redis-server")
    return packages


def _postgres_version() -> str:
    """Return the major version: the one that is installed, else the distribution's."""
    postgres = find_program("postgres")
    if postgres:
        match = re.search(r"/postgresql/(\d+)/bin/", str(Path(postgres).resolve()))
        if match:
            return match[1]
    told = subprocess.run(
        ["apt-cache", "depends", "postgresql"],  # noqa: S607 - the system's own
        check=False,
        capture_output=True,
        text=True,
    )
    match = re.search(r"postgresql-(\d+)", told.stdout)
    if match is None:
        raise EngineError(
            "this distribution has no package `postgresql`; install PostgreSQL 15+ and PostGIS 3"
        )
    return match[1]


def _root_prefix(missing: list[str]) -> list[str]:
    """Return the words that make a command run as root. Raises EngineError where there is no way."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        whole = {"postgis": "postgresql-postgis", "redis-server": "redis-server"}
        packages = sorted({whole.get(name, "postgresql") for name in missing})
        raise EngineError(
            "installing needs root and there is no sudo; as root, once: "
            f"apt-get install {' '.join(packages)} (only their programs are used; the system's own servers may be off)"
        )
    return [sudo] if sys.stdin.isatty() else [sudo, "-n"]  # no question where nobody can answer


def _as_root(root: list[str], *command: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
    variables = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"]
    return subprocess.run(  # noqa: S603 - our own words
        [*root, *variables, *command], check=False, capture_output=True, text=True, input=text
    )


def _apt(root: list[str], verb: str, *packages: str) -> None:
    options = ["-q", "-o", f"DPkg::Lock::Timeout={APT_WAIT_S}"]
    if packages:
        options += ["-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"]
    deadline = time.monotonic() + APT_WAIT_S
    result = _as_root(root, "apt-get", *options, verb, *packages)
    while (
        "Could not get lock" in result.stderr and time.monotonic() < deadline
    ):  # the lists' lock has no option
        time.sleep(1)
        result = _as_root(root, "apt-get", *options, verb, *packages)
    if result.returncode != 0:
        lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
        raise EngineError(f"apt-get {verb} failed: " + " | ".join(lines[-4:]))


def _hold_services(root: list[str]) -> list[Path]:
    """Keep the packages from starting servers; return the files to remove afterwards."""
    added = []
    for path, text in ((NO_CLUSTER, "create_main_cluster = false\n"), (POLICY, _POLICY_TEXT)):
        if not path.exists():
            _as_root(root, "mkdir", "-p", str(path.parent))
            _as_root(root, "tee", str(path), text=text)
            _as_root(root, "chmod", "755", str(path))
            added.append(path)
    return added


def _stop_redis(root: list[str]) -> None:
    """Stop the system's Redis that our installation brought, now and at boot."""
    if Path("/run/systemd/system").exists():
        _as_root(root, "systemctl", "disable", "--now", "--quiet", "redis-server")
