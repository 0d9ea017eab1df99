"""What `deploy/` holds is read here as its reader would, as far as that goes without a container engine."""

import configparser
import json
import re
import shlex
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from clew.servers.cli.parser import build
from clew.servers.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
EXTRAS = ("postgres", "redis", "otel", "sodium")


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's instructions and their arguments."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text(encoding="utf-8"))
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def test_the_image_is_built_in_stages_and_runs_as_nobody_in_particular() -> None:
    found = instructions()
    names = [name for name, _ in found]
    assert names.count("FROM") == 2
    last = len(names) - 1 - names[::-1].index("FROM")
    final = dict(found[last:])
    assert final["USER"] == "10001:10001"
    assert "readyz" in final["HEALTHCHECK"]
    words = json.loads(final["CMD"])
    assert build().parse_args(words).http == "0.0.0.0:8000"
    assert not [each for name, each in found[last:] if name == "RUN" and "pip" in each]


def test_everything_that_is_copied_is_there_and_the_build_sees_it() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = [each.split()[:-1] for name, each in instructions() if name == "COPY" and "--from" not in each]
    sources = [source for group in copied for source in group]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    wheel = re.search(r"targets\.wheel\]\nonly-include = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert wheel is not None
    assert set(re.findall(r'"([^"]+)"', wheel[1])) <= set(sources)


def test_every_container_of_the_composition_is_watched_and_can_do_little() -> None:
    services = compose()["services"]
    assert set(services) == {"clew", "proxy", "postgres", "valkey"}
    for name, service in services.items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    assert services["clew"]["read_only"] is True
    assert services["clew"]["cap_drop"] == ["ALL"]
    healthy = {"condition": "service_healthy"}
    assert services["clew"]["depends_on"] == {"postgres": healthy, "valkey": healthy}
    assert "healthcheck" in services["postgres"]
    assert "healthcheck" in services["valkey"]
    assert services["postgres"]["networks"] == ["inside"]
    assert compose()["networks"]["inside"] == {"internal": True}
    assert build().parse_args(services["clew"]["command"]).names == ["github", "slack"]


def test_no_secret_is_written_down_and_a_missing_one_stops_the_start() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    for name in ("POSTGRES_PASSWORD", "CLEW_MASTER_KEY"):
        assert re.findall(rf"\${{{name}[^}}]*}}", text), name
        assert all(":?" in each for each in re.findall(rf"\${{{name}[^}}]*}}", text)), name
    example = (DEPLOY / "clew.env.example").read_text(encoding="utf-8")
    values = dict(line.split("=", 1) for line in example.splitlines() if line and not line.startswith("#"))
    assert set(values.values()) == {""}


def test_the_settings_are_understood() -> None:
    environment = {"CLEW_CONFIG": str(DEPLOY / "clew.toml"), "CLEW_DATABASE": "postgresql://clew:x@postgres/clew"}
    settings = load_settings(
        {**environment, "CLEW_LIMITS": compose()["services"]["clew"]["environment"]["CLEW_LIMITS"]}
    )
    assert settings.http.issuer == "https://login.example.com/"
    assert settings.http.sessions is False


def test_the_unit_starts_clew_and_locks_it_in() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "clew.service", encoding="utf-8")
    service = unit["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert program == "/opt/clew/bin/clew"
    assert build().parse_args(words).names == ["github"]
    assert service["DynamicUser"] == "yes"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""
    assert "PASSWORD" not in service["Environment"]


def needed() -> set[str]:
    """The names of everything that is installed with clew and the extras of the image, on Linux."""
    seen: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [("clew", EXTRAS)]
    while waiting:
        name, extras = waiting.pop()
        for text in distribution(name).requires or []:
            wanted = Requirement(text)
            marker = wanted.marker
            if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                continue
            plain = re.sub(r"[-_.]+", "-", wanted.name).lower()
            if plain not in seen and plain != "clew":
                seen.add(plain)
                waiting.append((wanted.name, tuple(wanted.extras)))
    return seen


@pytest.mark.skipif(not (ROOT / "constraints.txt").exists(), reason="only in the repository")
def test_the_bill_of_materials_names_what_is_installed_in_the_version_that_is_pinned() -> None:
    found = json.loads((DEPLOY / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert found["bomFormat"] == "CycloneDX"
    assert found["metadata"]["component"]["name"] == "clew"
    versions = {re.sub(r"[-_.]+", "-", each["name"]).lower(): each["version"] for each in found["components"]}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    pinned = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower(): line.partition("==")[2] for line in lines}
    assert {name: version for name, version in versions.items() if pinned.get(name) != version} == {}
    assert needed() - set(versions) == set(), "run scripts/sbom"
    assert "file:" not in json.dumps(found)
    assert all(each.get("purl", "").startswith("pkg:pypi/") for each in found["components"])
