"""What deploys the system says what it must: compose, Dockerfile, workflow, `deploy/` and its guides. Nothing runs."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from handlers.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]


def test_all_engines_server_and_worker_are_there():
    assert {"postgres", "redis", "nats", "server", "worker", "proxy"} <= set(SERVICES)
    assert SERVICES["postgres"]["image"] == "postgis/postgis:16-3.4"
    assert SERVICES["server"]["deploy"]["replicas"] > 1


@pytest.mark.parametrize("name", [n for n in SERVICES if n not in {"migrate", "worker"}])
def test_every_lasting_service_that_listens_has_a_healthcheck(name):
    service = SERVICES[name]
    assert "healthcheck" in service or "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    assert "healthcheck" in service or service["build"] == "."


@pytest.mark.parametrize(("name", "kind"), [("server", "serve"), ("worker", "worker")])
def test_containers_replace_a_process_that_hangs(name, kind):
    assert SERVICES[name]["command"] == ["python", "-m", "server.local.watched", kind]
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ["server", "worker"])
def test_logs_of_containers_are_bounded(name):
    assert set(SERVICES[name]["logging"]["options"]) == {"max-size", "max-file"}


def test_named_volumes_configs_and_dependencies_exist():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in COMPOSE["configs"]
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert condition in {"service_healthy", "service_completed_successfully"}
            if condition == "service_healthy" and needed != "server":
                assert "healthcheck" in SERVICES[needed]


def test_only_loopback_is_published_by_default_and_engines_never():
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert name in {"proxy", "grafana"}
            assert port.startswith(("127.0.0.1:", "${MNBARA_BIND:-127.0.0.1}:"))


def test_passwords_have_no_default():
    text = (ROOT / "docker-compose.yml").read_text()
    for name in re.findall(r"\$\{(\w*PASSWORD\w*)", text):
        assert f"${{{name}:?" in text
    assert not re.search(r"\$\{\w*PASSWORD\w*(?::-|\})", text)
    assert not re.search(r"(?i)password: *[a-z0-9]", text.replace("POSTGRES_PASSWORD: $", ""))


def test_every_setting_given_to_the_servers_is_one():
    given = {name: "" for name in SERVICES["server"]["environment"] if name.startswith("MNBARA_")}
    Settings.from_environment(given)


def test_image_runs_as_an_ordinary_user_from_locked_packages():
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in text
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
    copied = re.findall(r"^COPY (\w+) ", text, re.MULTILINE)
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert allowed[0] == "*"
    assert all(f"!{name}" in allowed and (ROOT / name).exists() for name in copied)


def test_workflow_runs_the_same_command_with_little_permission():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    job = workflow["jobs"]["run"]
    assert workflow["permissions"] == {"contents": "read"}
    assert job["container"] == "debian:12"
    assert job["steps"][-1]["run"] == ".ci/run"
    assert all(re.fullmatch(r"[\w/-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)


DEPLOY = [
    *sorted((ROOT / "docs" / "deploy").glob("*.md")),
    *sorted(p for p in (ROOT / "deploy").rglob("*") if p.is_file()),
]


@pytest.mark.parametrize("path", DEPLOY, ids=lambda path: path.name)
def test_guides_for_operators_name_settings_and_files_that_exist(path):
    text = path.read_text()
    known = {f"MNBARA_{field.name.upper()}" for field in fields(Settings)}
    assert set(re.findall(r"\bMNBARA_[A-Z_]+\b", text)) <= known
    for link in re.findall(r"\]\(([^)#:]+)", text):
        assert (path.parent / link).exists(), link
    for named in re.findall(r"(?<![\w/])(?:docs|deploy)/[\w./-]+\w", text):
        assert (ROOT / named).exists(), named


@pytest.mark.parametrize(
    "setting", ["Upgrade", "Connection", "X-Forwarded-For $remote_addr", "X-Forwarded-Proto", "Host"]
)
def test_the_nginx_of_compose_and_of_the_guide_say_the_same(setting):
    ours = (ROOT / "deploy" / "nginx" / "mnbara.conf").read_text()
    composed = COMPOSE["configs"]["proxy"]["content"].replace("$$", "$")
    assert f"proxy_set_header {setting}" in ours
    assert f"proxy_set_header {setting}" in composed


def test_the_unit_lets_everything_drain_before_it_kills():
    unit = (ROOT / "deploy" / "systemd" / "mnbara.service").read_text()
    drain_s = int(
        re.search(
            r"^MNBARA_DRAIN_S=(\d+)$", (ROOT / "docs" / "deploy" / "systemd.md").read_text(), re.MULTILINE
        )[1]
    )
    grace_s = int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1])
    assert grace_s >= drain_s + 18 + 20  # the processes' own end, and that of the engines
    assert "KillMode=mixed" in unit
