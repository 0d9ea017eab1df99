"""The approval story end to end: an agent, `clew serve`, `clew console` at a terminal, and a person in Chromium.

`CLEW_SHOTS=docs/images pytest -m testbed tests/e2e/test_console_browser.py` also writes the screenshots of the docs.
"""

# playwright is only there with the extra `testbed`.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false

import asyncio
import contextlib
import os
import pty
import re
import shutil
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from clew.core.secret import Secret
from clew.servers.console.desk import open_desk
from clew.servers.console.serving import serve_pages
from clew.servers.console_settings import ConsoleSettings
from clew.servers.sandbox import Sandbox
from clew.servers.settings import Settings

from .conftest import Oidc, Person, unavailable

pytestmark = [pytest.mark.anyio, pytest.mark.testbed]
CONTACT = {"contact_id": "con_000003"}


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path, sandbox: Sandbox) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLEW_") and name != "DISPLAY"}
    file = tmp_path / "clew.toml"
    file.write_text(f'home = "{tmp_path / "home"}"\n[connectors.acme]\nbase_url = "{sandbox.url}"\n')
    return {**kept, "CLEW_CONFIG": str(file), "CLEW_KEY_PROVIDER": "file", "NO_COLOR": "1", "CLEW_ALLOW_WRITES": "1"}


def clew(*words: str) -> list[str]:
    return [sys.executable, "-m", "clew.servers.cli", *words]


@asynccontextmanager
async def at_a_terminal(environment: dict[str, str], *words: str) -> AsyncGenerator[Any]:
    """A command with a person at its terminal; gives a function that waits for something it says."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *clew(*words), env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    said = ""

    async def heard(pattern: str) -> str:
        nonlocal said
        loop, more = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(ours, more.set)
        try:
            async with asyncio.timeout(40):
                while (found := re.search(pattern, said)) is None:
                    await more.wait()
                    more.clear()
                    with contextlib.suppress(BlockingIOError):
                        said += os.read(ours, 65536).decode()
        finally:
            loop.remove_reader(ours)
        return found[0]

    try:
        yield heard
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        os.close(ours)


@asynccontextmanager
async def chromium(*, width: int = 1200, height: int = 760) -> AsyncGenerator[Any]:
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
            context = await browser.new_context(
                color_scheme="light", reduced_motion="reduce", viewport={"width": width, "height": height}
            )
            page: Any = await context.new_page()
            page.wrong = []

            def note(said: Any) -> None:
                if "Content Security" in said.text:
                    page.wrong.append(said.text)

            page.on("console", note)
            yield page
        finally:
            await browser.close()


async def shot(page: Any, name: str) -> None:
    folder = os.environ.get("CLEW_SHOTS")
    if folder:
        await page.screenshot(path=f"{folder}/console-{name}.png")


async def delete(agent: Client) -> Any:
    """What an agent does: it makes the same call again for as long as a person has not decided."""
    while True:
        result = await agent.call_tool("delete_contact", CONTACT)
        if not result.is_error or result.structured_content["error"]["code"] != "approval_required":
            return result


async def connect(environment: dict[str, str], sandbox: Sandbox) -> None:
    process = await asyncio.create_subprocess_exec(
        *clew("auth", "set", "acme"), env=environment, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate(sandbox.pat.encode())
    assert process.returncode == 0, said


async def test_an_agent_asks_a_person_decides_in_chromium_and_the_agent_goes_on(
    environment: dict[str, str], sandbox: Sandbox
) -> None:
    await connect(environment, sandbox)
    parameters = StdioServerParameters(command=clew()[0], args=clew("serve", "acme")[1:], env=environment)
    async with (
        at_a_terminal(environment, "console", "--http", "127.0.0.1:0", "--no-browser") as heard,
        chromium() as page,
        Client(stdio_client(parameters)) as agent,
    ):
        link = await heard(r"http://127\.0\.0\.1:\d+/console/enter#[\w-]{43}")
        await page.goto(link)
        await page.wait_for_url("**/console/approvals")
        assert "#" not in page.url
        await page.wait_for_selector("text=All clear")

        asking = asyncio.create_task(delete(agent))
        await page.wait_for_selector("text=Something has changed", timeout=20_000)  # the page looks by itself
        await page.click("text=Something has changed")
        await page.wait_for_selector("text=1 call waits")
        await shot(page, "approvals")
        await page.click(".ask")
        await page.wait_for_selector("text=What it will hit")
        await page.emulate_media(color_scheme="dark")
        await shot(page, "approval-dark")
        await page.emulate_media(color_scheme="light")
        await page.wait_for_selector("text=turing3@customer.example")

        await page.click("text=Change the arguments first")
        await page.fill("[name='argument.contact_id']", "con_000004")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("ins >> text=Dijkstra")
        await shot(page, "edited")
        await page.fill("#note", "Alan is a paying customer; this is the one.")
        await page.click("text=Approve with this change")
        await page.wait_for_selector("text=approved")
        result = await asyncio.wait_for(asking, 60)
        assert not result.is_error, result
        assert "paying customer" in str(result.structured_content)
        assert sandbox.state.store.contacts.get("con_000003") is not None
        assert sandbox.state.store.contacts.get("con_000004") is None

        await page.click("nav >> text=Audit")
        while not await page.query_selector(".rows a"):  # a record is in the database within a tenth of a second
            await page.reload()
        await page.click(".rows a >> nth=0")
        await page.wait_for_selector("text=Timeline")
        await page.click("nav >> text=Stats")
        await page.wait_for_selector("text=of calls succeeded")
        assert page.wrong == []
        await page.click("text=Log out")
        await page.wait_for_selector("text=clew console link")
        await page.goto(link)
        await page.wait_for_selector("text=not good any more")


async def test_the_pages_work_without_scripts_on_a_phone_and_a_second_link_opens_them(
    environment: dict[str, str], sandbox: Sandbox
) -> None:
    await connect(environment, sandbox)
    parameters = StdioServerParameters(command=clew()[0], args=clew("serve", "acme")[1:], env=environment)
    async with (
        at_a_terminal(environment, "console", "--http", "127.0.0.1:0", "--no-browser") as heard,
        chromium(width=390, height=844) as page,
        Client(stdio_client(parameters)) as agent,
    ):
        await heard(r"/console/enter#[\w-]{43}")
        async with at_a_terminal(environment, "console", "link") as told:
            link = await told(r"http://127\.0\.0\.1:\d+/console/enter#[\w-]{43}")
        without = await page.context.browser.new_context(
            java_script_enabled=False, viewport={"width": 390, "height": 844}
        )
        plain = await without.new_page()
        await plain.goto(link)
        await plain.fill("#ticket", link)
        await plain.click("button")
        await plain.wait_for_url("**/console/approvals")
        asking = asyncio.create_task(delete(agent))
        while not await plain.query_selector(".ask"):
            await plain.reload()
        await plain.click(".ask")
        await shot(plain, "phone")
        await plain.fill("#note", "No: close the ticket instead.")
        await plain.click("text=Deny")
        await plain.wait_for_selector("text=denied")
        refused = await asyncio.wait_for(asking, 60)
        assert refused.structured_content["error"]["code"] == "denied"
        assert "close the ticket instead" in str(refused.structured_content)
        assert sandbox.state.committed("contact", "delete") == 0


async def test_nobody_gets_a_link_without_a_terminal(environment: dict[str, str]) -> None:
    async with at_a_terminal(environment, "console", "--http", "127.0.0.1:0", "--no-browser") as heard:
        await heard(r"/console/enter#[\w-]{43}")
        process = await asyncio.create_subprocess_exec(
            *clew("console", "link", "--json"), env=environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, talk = await process.communicate()
    assert process.returncode == 2
    assert b"/enter" not in output + talk
    assert b"terminal" in talk


async def test_people_log_in_at_a_real_provider(oidc: Oidc, tmp_path: Path) -> None:
    rules = ConsoleSettings(
        issuer=oidc.issuer, client_id="console", client_secret=Secret("console-s3cret"), people=("@example.test",)
    )
    settings = Settings(home=tmp_path / "home", key_provider="file", console=rules)
    async with open_desk(settings) as desk:
        came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def ready(url: str) -> None:
            came.set_result(url)

        serving = asyncio.create_task(serve_pages(desk, "127.0.0.1:0", ready))
        try:
            root = await came
            async with httpx.AsyncClient() as http:
                assert (await http.get(f"{root}/approvals")).status_code == 401
            ada = Person("ada")
            await ada.consent(f"{root}/login?back=/console/approvals")
            (page,) = [each for each in ada.pages if "Nothing waits for you" in each]
            assert "ada@example.test" in page
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
