"""docker-compose.yml, Dockerfile and the workflow say what they must; the engines' compose client is not needed."""

import re
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
