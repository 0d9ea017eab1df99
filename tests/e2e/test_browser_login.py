"""`clew auth login` as a person runs it: the command in a process of its own, a real browser, a real provider."""

# playwright is only there with the extra `testbed`.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from .conftest import Oidc, Person, unavailable

pytestmark = [pytest.mark.anyio, pytest.mark.testbed]


class Clew:
    """The command line with a home of its own."""

    def __init__(self, home: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_") and name != "DISPLAY"}
        self.environment = {**kept, "CLEW_HOME": str(home), "CLEW_KEY_PROVIDER": "file", "NO_COLOR": "1"}

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "clew.servers.cli", *words),
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *words: str) -> tuple[int, str, str]:
        """Run a command to its end: code, output, talk."""
        process = await self.start(*words)
        output, talk = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, output.decode(), talk.decode()

    async def json(self, *words: str) -> Any:
        code, output, talk = await self.run(*words, "--json")
        assert output, (code, talk)
        return json.loads(output)


@pytest.fixture
def clew(tmp_path: Path) -> Clew:
    return Clew(tmp_path / "home")


@asynccontextmanager
async def chromium(profile: Path) -> AsyncGenerator[Any]:
    """A page in a headless Chromium of this machine."""
    program = shutil.which("chromium")
    if program is None:
        unavailable("chromium is not here")
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        unavailable("playwright is not installed")
        raise
    options = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=options, headless=True)
        try:
            yield await browser.new_page()
        finally:
            await browser.close()


async def heard(process: asyncio.subprocess.Process, pattern: str) -> str:
    """The first match in what the command says."""
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(30):
        while (found := re.search(pattern, said)) is None:
            part = await process.stderr.read(4096)
            assert part, said
            said += part.decode()
    return found[0]


async def test_a_login_in_chromium_is_stored_shown_refreshed_and_revoked(
    clew: Clew, oidc: Oidc, tmp_path: Path
) -> None:
    assert (await clew.run("auth", "apps", "set", "generic", "--client-id", "public", "--public"))[0] == 0
    process = await clew.start("auth", "login", "generic", "--issuer", oidc.issuer, "--no-browser", "--json")
    url = await heard(process, r"http://127\.0\.0\.1:\d+/auth\?\S+")
    async with chromium(tmp_path / "profile") as page:
        await page.goto(url)
        await page.fill("input[name=login]", "ada")
        await page.fill("input[name=password]", "any")
        await page.click("button[type=submit]")
        await page.wait_for_selector("text=Authorize")
        await page.click("button[type=submit]")
        await page.wait_for_selector("text=Almost done")
        assert page.url.startswith("http://127.0.0.1:")
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert json.loads(output)["identity"] == "ada"
    (status,) = await clew.json("auth", "status")
    assert (status["account"], status["identity"], status["state"]) == ("ada", "ada", "ready")
    assert (await clew.json("auth", "refresh", "generic"))["refreshed"] == 1
    ending = await clew.json("auth", "logout", "generic")
    assert (ending["told"], ending["forgotten"]) == ("revoked", True)
    assert await clew.json("auth", "status") == []


async def test_a_login_by_device_code_ends_without_a_browser_here(clew: Clew, oidc: Oidc) -> None:
    await clew.run("auth", "apps", "set", "generic", "--client-id", "public", "--public")
    process = await clew.start("auth", "login", "generic", "--issuer", oidc.issuer, "--device", "--json")
    url = await heard(process, r"http://\S+user_code=\S+")
    await Person("bob").consent(url)
    output, talk = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 0, talk
    answer = json.loads(output)
    assert answer["connector"] == "generic"
    assert (await clew.json("auth", "revoke", "--all", "--yes"))[0]["told"] == "revoked"


async def test_nothing_that_the_command_says_holds_a_token(clew: Clew, oidc: Oidc) -> None:
    await clew.run("auth", "apps", "set", "generic", "--client-id", "public", "--public")
    process = await clew.start("auth", "login", "generic", "--issuer", oidc.issuer, "--no-browser", "--json")
    url = await heard(process, r"http://127\.0\.0\.1:\d+/auth\?\S+")
    await Person().consent(url)
    output, talk = await asyncio.wait_for(process.communicate(), 30)
    said = [output.decode(), talk.decode(), *(await clew.run("auth", "status", "--json"))[1:]]
    said += (await clew.run("auth", "status", "--check"))[1:]
    # Tokens of this provider are 43 characters of base64.
    assert not re.findall(r"(?<![\w-])[\w-]{43}(?![\w-])", "\n".join(said))
