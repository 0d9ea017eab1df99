"""Logging in at emulate's Microsoft with the real command: PKCE, refreshes, and whose account it is.

emulate has Microsoft's login and `/me`, and no mail or calendar. `scripts/tested-with` installs it.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import unescape
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.testbed]

ROOT = Path(__file__).resolve().parent.parent.parent
PERSON = "ada@example.com"


@dataclass
class Login:
    """One installation of clew and one authorization server."""

    processes: Any
    subject: Any
    clew: str
    issuer: str

    async def run(self, *words: str) -> Any:
        done = await self.processes.run(
            [self.clew, *words], environment=self.subject.environment, folder=self.subject.home
        )
        assert done.code == 0, done.error
        return done

    async def log_in(self) -> tuple[dict[str, Any], dict[str, list[str]]]:
        """`clew auth login`; its answer, and what the address to open asked for."""
        command = ["auth", "login", "microsoft", "--issuer", self.issuer, "--no-browser", "--json"]
        process = await asyncio.create_subprocess_exec(
            self.clew,
            *command,
            env=self.subject.environment,
            cwd=self.subject.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        said, address = "", ""
        try:
            async with asyncio.timeout(60):
                while not address and (line := (await process.stderr.readline()).decode()):
                    said += line
                    address = line.strip() if line.startswith("http") else ""
                assert address, said
                await consent(address)
                output, error = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, said + error.decode()
        return json.loads(output), parse_qs(urlsplit(address).query)


async def consent(address: str) -> None:
    """Open the login page, press the button with the person's name, and end where the browser ends."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=20) as browser:
        page = await browser.get(address)
        forms = re.findall(r"<form[^>]*action=\"([^\"]+)\"[^>]*>(.*?)</form>", page.text, re.DOTALL)
        filled = [(action, fields) for action, text in forms if (fields := inputs(text)).get("email") == PERSON]
        assert filled, page.text[:500]
        action, fields = filled[0]
        ended = await browser.post(urljoin(str(page.url), unescape(action)), data=fields)
        assert (ended.status_code, ended.url.host) == (200, "localhost")


def inputs(form: str) -> dict[str, str]:
    tags = re.findall(r"<input[^>]*>", form)
    return {attribute(each, "name"): attribute(each, "value") for each in tags}


def attribute(tag: str, name: str) -> str:
    found = re.search(rf"\b{name}=\"([^\"]*)\"", tag)
    return unescape(found[1]) if found else ""


@pytest.fixture
async def login(tmp_path: Path) -> AsyncIterator[Login]:
    sys.path.append(str(ROOT / "scripts"))
    try:
        packages, processes, subjects = (
            import_module(f"testbeds.{each}") for each in ("packages", "processes", "subject")
        )
    finally:
        sys.path.pop()
    if packages.missing(("google",)):
        pytest.skip("emulate is not installed: run scripts/tested-with once.")
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"microsoft": {"users": [{"email": PERSON, "name": "Ada"}]}}), encoding="utf-8")
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*packages.script("emulate", "dist/index.js"), "start", "--service", "microsoft", "--port", str(port)]
    command += ["--base-url", url, "--seed", str(seed)]
    environment, ready = processes.plain_environment(tmp_path), re.compile("Ready")
    async with (
        processes.serving(command, environment=environment, ready=ready, folder=tmp_path),
        httpx.AsyncClient() as http,
    ):
        described = (await http.get(f"{url}/.well-known/openid-configuration")).json()
        subject = subjects.write_settings(tmp_path / "clew", {"microsoft": f"{url}/v1.0"})
        found = Login(processes, subject, subjects.CLEW, str(described["issuer"]))
        await found.run("auth", "apps", "set", "microsoft", "--client-id", "clew-test", "--public")
        yield found


async def test_a_person_logs_in_and_the_grant_is_refreshed(login: Login) -> None:
    found, asked = await login.log_in()
    assert (found["account"], found["identity"], found["missing"]) == (PERSON, PERSON, [])
    assert (asked["code_challenge_method"], len(asked["code_challenge"][0])) == (["S256"], 43)
    assert re.fullmatch(r"http://localhost:\d+/callback", asked["redirect_uri"][0])
    mail, calendar = ("Mail.ReadWrite", "Mail.Send"), ("Calendars.ReadWrite", "Calendars.Read.Shared")
    assert {"offline_access", "User.Read", *mail, *calendar} == set(asked["scope"][0].split())
    for _ in range(2):
        await login.run("auth", "refresh", "microsoft")
    (row,) = json.loads((await login.run("auth", "status", "--check", "--json")).output)
    assert (row["state"], row["identity"], list(row["missing"])) == ("ready", PERSON, [])
