"""What is missing is seen, what is installed is chosen, and where nothing can be installed the way out is told."""

import pytest

from server.local import install
from server.local.programs import EngineError


@pytest.fixture
def nothing_here(monkeypatch):
    monkeypatch.setattr(
        install, "find_program", lambda name: "/venv/bin/nats-server" if name == "nats-server" else None
    )
    monkeypatch.setattr(install, "find_postgis", lambda: False)


def test_nothing_is_missing_and_nothing_runs_where_all_engines_are(monkeypatch):
    monkeypatch.setattr(install, "_as_root", lambda *_: pytest.fail("installs"))
    install.install_engines(("postgres", "redis", "nats"), pytest.fail)


def test_only_the_named_engines_are_missed(nothing_here):
    assert install.missing_engines(("postgres",)) == ["postgres", "initdb", "psql", "postgis"]
    assert install.missing_engines(("redis",)) == ["redis-server"]
    assert install.missing_engines(("nats",)) == []


def test_postgis_alone_is_installed_for_the_version_that_is_there(monkeypatch):
    monkeypatch.setattr(install, "find_program", lambda _name: "/usr/lib/postgresql/16/bin/postgres")
    assert install._packages(["postgis"]) == ["postgresql-16", "postgresql-16-postgis-3"]
    assert install._packages(["redis-server"]) == ["redis-server"]


def test_ordinary_user_without_sudo_is_told_what_to_ask_for(nothing_here, monkeypatch):
    monkeypatch.setattr(install.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(
        install.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None
    )
    said = []
    with pytest.raises(EngineError, match="apt-get install postgresql postgresql-postgis redis-server "):
        install.install_engines(("postgres", "redis"), said.append)
    with pytest.raises(EngineError, match="apt-get install redis-server "):
        install.install_engines(("redis",), lambda _line: None)
    assert said == ["not installed here: postgres, initdb, psql, postgis, redis-server"]


def test_system_without_apt_is_told_what_to_install(nothing_here, monkeypatch):
    monkeypatch.setattr(install.shutil, "which", lambda _name: None)
    with pytest.raises(EngineError, match=r"PostgreSQL 15\+ with PostGIS 3 and Redis 7"):
        install.install_engines(("postgres", "redis"), lambda _line: None)


def test_services_are_held_only_while_packages_are_installed(nothing_here, monkeypatch, tmp_path):
    policy, drop_in = tmp_path / "policy-rc.d", tmp_path / "createcluster.d" / "mnbara.conf"
    monkeypatch.setattr(install, "POLICY", policy)
    monkeypatch.setattr(install, "NO_CLUSTER", drop_in)
    monkeypatch.setattr(install, "_root_prefix", lambda _missing: [])
    monkeypatch.setattr(install, "_postgres_version", lambda: "15")
    monkeypatch.setattr(install, "_stop_redis", lambda _root: None)
    seen = []

    def apt(_root, verb, *packages):
        seen.append((verb, packages, policy.exists() and drop_in.exists()))
        if "redis-server" in packages:
            raise EngineError("apt-get install failed: E: disk full")

    monkeypatch.setattr(install, "_apt", apt)
    with pytest.raises(EngineError, match="disk full"):
        install.install_engines(("postgres", "redis"), lambda _line: None)
    assert seen == [
        ("update", (), False),
        ("install", ("postgresql-common",), False),
        ("install", ("postgresql-15", "postgresql-15-postgis-3", "redis-server"), True),
    ]
    assert not policy.exists()
    assert not drop_in.exists()
