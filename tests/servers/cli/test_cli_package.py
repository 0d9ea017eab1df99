"""`clew package`: bundles and registry entries, of installed connectors only, without a secret."""

import json
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from clew import __version__
from clew.core.registry import discover, load

from .conftest import Place

ROOT = Path(__file__).resolve().parents[3]
MODULES = ROOT / ".cache" / "testbeds" / "node_modules"

TEXT: dict[str, Any] = {"type": "string"}
FLAG: dict[str, Any] = {"type": "boolean"}


def only(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """An object of these properties and no others: the registry would take more, but none that we mean to write."""
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


INPUT = {
    "choices": {"type": "array", "items": TEXT}, "default": TEXT, "description": TEXT, "isRequired": FLAG,
    "isSecret": FLAG, "placeholder": TEXT, "value": TEXT, "variables": {"type": "object"},
    "format": {"enum": ["string", "number", "boolean", "filepath"]},
}  # fmt: skip
ARGUMENT = {
    "oneOf": [
        only(("type", "value"), **INPUT, type={"const": "positional"}, isRepeated=FLAG, valueHint=TEXT),
        only(("type", "name"), **INPUT, type={"const": "named"}, name=TEXT, isRepeated=FLAG),
    ]
}
ARGUMENTS = {"type": "array", "items": ARGUMENT}
PACKAGE = {
    **only(
        ("registryType", "identifier", "transport"),
        registryType={"enum": ["npm", "pypi", "cargo", "oci", "nuget", "mcpb"]},
        registryBaseUrl=TEXT,
        identifier=TEXT,
        version={"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[0-9][0-9A-Za-z.+-]*$"},
        fileSha256={"type": "string", "pattern": "^[a-f0-9]{64}$"},
        transport=only(("type",), type={"const": "stdio"}),
        runtimeHint=TEXT,
        runtimeArguments=ARGUMENTS,
        packageArguments=ARGUMENTS,
        environmentVariables={"type": "array", "items": only(("name",), **INPUT, name=TEXT)},
    ),
    "dependentRequired": {"runtimeArguments": ["runtimeHint"]},
}
REMOTE = only(
    ("type", "url"),
    type={"enum": ["streamable-http", "sse"]},
    url={"type": "string", "pattern": r"^(https?://[^\s]+|\{[a-zA-Z_][a-zA-Z0-9_]*\}[^\s]*)$"},
    headers={"type": "array"},
    variables={"type": "object"},
)
SERVER = only(
    ("$schema", "name", "description", "version"),
    **{"$schema": {"const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"}},
    name={"type": "string", "pattern": r"^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$", "minLength": 3, "maxLength": 200},
    title={"type": "string", "minLength": 1, "maxLength": 100},
    description={"type": "string", "minLength": 1, "maxLength": 100},
    version={"type": "string", "maxLength": 255},
    packages={"type": "array", "items": PACKAGE},
    remotes={"type": "array", "items": REMOTE},
)
"""What the registry's schema of 2025-12-11 asks of the parts that we write, and the names it has for them."""


def test_a_bundle_is_the_same_bytes_each_time_and_starts_the_connector(place: Place) -> None:
    first = json.loads(place.run("package", "mcpb", "github", "--json").out)
    second = json.loads(place.run("package", "mcpb", "github", "--json", "--output", "other.mcpb").out)
    assert first["sha256"] == second["sha256"]
    with zipfile.ZipFile(place.folder / "github.mcpb") as bundle:
        assert sorted(bundle.namelist()) == ["manifest.json", "pyproject.toml", "src/server.py"]
        manifest = json.loads(bundle.read("manifest.json"))
        project = tomllib.loads(bundle.read("pyproject.toml").decode())
        program = bundle.read("src/server.py").decode()
    assert manifest["server"]["mcp_config"]["args"][-3:] == ["src/server.py", "serve", "github"]
    assert {tool["name"] for tool in manifest["tools"]} >= {"list_issues", "delete_comment"}
    assert project["project"]["dependencies"] == [f"clew=={__version__}"]
    compile(program, "server.py", "exec")
    assert not re.search(r'"sensitive"|token|password|secret', json.dumps(manifest["user_config"]))


@pytest.mark.parametrize("name", sorted(name for name in discover() if load(name).tools))
def test_an_entry_is_what_the_registry_takes(place: Place, name: str) -> None:
    url = f"https://mcp.example.com/{name}/mcp"
    ran = place.run("package", "registry", name, "--namespace", "com.example", "--url", url, "--json")
    entry = json.loads(ran.out)
    validator: Any = jsonschema.Draft202012Validator(SERVER)
    assert list(validator.iter_errors(entry)) == []
    assert [each["value"] for each in entry["packages"][0]["packageArguments"]] == ["serve", name]
    assert entry["remotes"] == [{"type": "streamable-http", "url": url}]
    assert "environmentVariables" in entry["packages"][0]
    assert not any(each.get("isSecret") for each in entry["packages"][0]["environmentVariables"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("registry", "github", "--namespace", "me"), "a name in reverse DNS"),
        (("registry", "github", "--namespace", "com.example", "--url", "http://mcp.example.com"), "https address"),
        (("mcpb", "twilio"), "has no tools yet"),
        (("mcpb", "nobody"), "there is no connector"),
        (("mcpb", "github", "--output", "no/such/folder.mcpb"), "cannot be written"),
    ],
)
def test_a_mistake_is_one_sentence(place: Place, words: tuple[str, ...], says: str) -> None:
    ran = place.run("package", *words)
    assert (ran.code, says in ran.err) == (2, True), ran.err


def test_a_connector_of_ones_own_file_cannot_be_packaged(place: Place) -> None:
    (place.folder / "mine.py").write_text(
        "from clew import Api, Connector\n"
        'mine = Connector("mine", base_url="https://mine.example")\n\n'
        "@mine.read\n"
        "async def look(api: Api) -> dict[str, int]:\n"
        '    """Look."""\n'
        "    return {}\n"
    )
    assert "is no installed connector" in place.run("package", "mcpb", "./mine.py").err


@pytest.mark.testbed
def test_the_official_tool_takes_the_bundle(place: Place) -> None:
    tool = MODULES / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"
    if not tool.exists():
        pytest.skip("mcpb is not installed: scripts/tested-with installs it")
    place.run("package", "mcpb", "google_calendar")
    with zipfile.ZipFile(place.folder / "google_calendar.mcpb") as bundle:
        bundle.extractall(place.folder / "opened")
    node = str(MODULES / "node" / "bin" / "node")
    for words in (["validate", "opened/manifest.json"], ["info", "google_calendar.mcpb"]):
        done = subprocess.run([node, str(tool), *words], cwd=place.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
