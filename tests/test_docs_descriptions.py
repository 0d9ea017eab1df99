"""The pages about descriptions say what is true: every command in them is run."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import graphql
import pytest

from clew.servers.sandbox import Sandbox

ROOT = Path(__file__).parents[1]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def workshop(tmp_path: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return {**environment, "PATH": path, "CLEW_HOME": str(tmp_path / "home"), "CLEW_KEY_PROVIDER": "file"}


def run_page(page: Path, folder: Path, environment: dict[str, str]) -> str:
    """Run every `$` line of the page's console blocks; the lines after it must be in what it printed."""
    steps = [line for block in blocks(page, "console") for line in block.splitlines()]
    assert len([line for line in steps if line.startswith("$ ")]) >= 3
    seen = everything = ""
    for line in steps:
        if line.startswith("$ "):
            command = ["bash", "-c", line[2:]]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            seen = done.stdout + done.stderr
            everything += seen
            assert "Traceback" not in seen
        else:
            assert line in seen, f"{line!r} is not in what the command printed:\n{seen}"
    return everything


def test_the_page_about_openapi_works_as_written(tmp_path: Path, workshop: dict[str, str]) -> None:
    page = ROOT / "docs" / "openapi.md"
    (tmp_path / "helpdesk.yaml").write_text(blocks(page, "yaml")[0])
    with Sandbox() as sandbox:
        places = "".join(f'[connectors.{name}]\nbase_url = "{sandbox.url}"\n' for name in ("help_desk", "helpdesk"))
        (tmp_path / "clew.toml").write_text(places)
        seen = run_page(page, tmp_path, workshop)
    assert "acme_pat_sandbox" not in seen
    shown = blocks(page, "text")[0]
    assert shown in (tmp_path / "helpdesk.py").read_text()


ISSUE = {"id": "1", "title": "Printer on fire", "state": "OPEN", "assignee": {"id": "u", "name": "ada"}}
WORK = {"issue": ISSUE, "issues": {"nodes": [ISSUE], "pageInfo": {"hasNextPage": False, "endCursor": None}}}


def test_the_page_about_graphql_works_as_written(tmp_path: Path, workshop: dict[str, str]) -> None:
    page = ROOT / "docs" / "graphql.md"
    text = blocks(page, "graphql")[0]
    (tmp_path / "schema.graphql").write_text(text)
    schema = graphql.build_schema(text)
    execute: Any = vars(graphql)["graphql_sync"]

    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            done = execute(schema, asked["query"], WORK, variable_values=asked.get("variables"))
            body = json.dumps(done.formatted).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        (tmp_path / "page.md").write_text(page.read_text().replace(":4000", f":{server.server_address[1]}"))
        run_page(tmp_path / "page.md", tmp_path, workshop)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
