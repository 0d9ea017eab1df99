"""`clew demo`: the whole product in ten seconds, with no account and no network.

A provider (the sandbox) runs in this process, `clew serve acme` as a real MCP server in its own, and the official MCP
client drives it. Everything lives in a temporary folder; nothing of the user's is read or written.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from mcp import Client, StdioServerParameters, types

from clew.auth.login import login
from clew.auth.schemes import OAuth2
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.fields import as_list, as_object
from clew.servers.sandbox import Sandbox
from clew.servers.settings import Settings
from clew.servers.store import open_store

CONNECTION = Connection(LOCAL_TENANT, "acme", "ada")


@dataclass(slots=True)
class Step:
    """One thing the demo showed: the call, what came back, and what it means."""

    title: str
    tool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    result: Any = None
    seconds: float = 0.0
    said: str = ""
    ok: bool = True


class DemoError(Exception):
    """Something did not go as the demo promises."""


@dataclass(slots=True)
class Tour:
    """The demo under way: the provider, the client's end of the server, and the steps so far."""

    sandbox: Sandbox
    client: Client
    as_json: bool
    asked: list[str]
    steps: list[Step] = field(default_factory=list[Step])

    async def call(self, step: Step) -> dict[str, Any]:
        """Call the step's tool and keep what came back."""
        started = time.monotonic()
        result = await self.client.call_tool(step.tool, step.arguments)
        step.seconds = round(time.monotonic() - started, 2)
        step.result = result.structured_content
        return as_object(step.result) or {}

    def show(self, step: Step) -> None:
        """Print a step, or keep it for the transcript."""
        self.steps.append(step)
        if self.as_json:
            return
        print(f"\n{len(self.steps)}  {step.title}")
        if step.tool:
            arguments = " ".join(f"{name}={value!r}" for name, value in step.arguments.items())
            print(f"   > {step.tool} {arguments}".rstrip())
        for line in step.said.splitlines():
            print(f"   {line}")


def run(*, json: bool = False) -> int:
    """Show everything, or print a transcript; 0 when every step did what it says, 1 otherwise."""
    return asyncio.run(_run(as_json=json))


async def _run(*, as_json: bool) -> int:
    started = time.monotonic()
    logging.getLogger("clew").setLevel(logging.ERROR)  # the temporary key file needs no warning
    with Sandbox() as sandbox, tempfile.TemporaryDirectory(prefix="clew-demo-") as folder:
        if not as_json:
            print("clew demo: a fictitious provider called Acme, a real MCP server and a real MCP client.")
            print("No account, no network; everything lives in a temporary folder and is gone afterwards.")
        (Path(folder) / "clew.toml").write_text(f'[connectors.acme]\nbase_url = "{sandbox.url}"\n', encoding="utf-8")
        signed_in = await _sign_in(sandbox, Path(folder))
        async with _connected(sandbox, Path(folder), as_json=as_json) as tour:
            tour.show(signed_in)
            for act in (_list, _read, _write, _destroy, _limit, _refresh, _lose_the_answer, _refuse_to_wait):
                tour.show(await act(tour))
        seconds = round(time.monotonic() - started, 1)
    done = all(step.ok for step in tour.steps)
    if as_json:
        steps = [{name: getattr(step, name) for name in Step.__slots__} for step in tour.steps]
        print(json.dumps({"ok": done, "seconds": seconds, "steps": steps}, indent=2, ensure_ascii=False))
    else:
        print(_ENDING if done else "\nSomething did not go as it should; see above.")
    return 0 if done else 1


_ENDING = """
That was it. What to type next:
  clew show github                     what a real connector lets an agent do, and what it asks a person for
  clew auth set github                 keep a GitHub token in the encrypted vault
  clew serve github                    the command to put into your agent's MCP configuration
  clew sandbox                         Acme by itself, to build against; docs/tutorial.md starts there"""


async def _sign_in(sandbox: Sandbox, folder: Path) -> Step:
    """Log in as a person would, with the demo playing the browser; the grant goes into a vault of its own."""
    scheme = _oauth()
    async with httpx.AsyncClient(follow_redirects=True) as browser:

        async def click_allow(url: str) -> None:
            fields = dict(parse_qsl(urlsplit(url).query))
            await browser.get(url)
            await browser.post(url.partition("?")[0], data={**fields, "approve": "1"})

        async with open_store(Settings(home=folder, key_provider="file")) as store:
            facts = await login(store.vault, CONNECTION, scheme, base_url=sandbox.url, show=click_allow)
    said = f"Authorization code with PKCE; {len(facts.scopes)} scopes granted. The tokens are in an encrypted vault."
    return Step("Log in to Acme with OAuth", said=said)


def _oauth() -> OAuth2:
    from clew.connectors.acme import acme

    return next(scheme for scheme in acme.schemes if isinstance(scheme, OAuth2))


@asynccontextmanager
async def _connected(sandbox: Sandbox, folder: Path, *, as_json: bool) -> AsyncGenerator[Tour]:
    """`clew serve acme` in a process of its own, and a client on its pipe that answers questions with yes."""
    asked: list[str] = []

    async def say_yes(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"approve": True})

    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "clew.servers.cli", "serve", "acme"],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("CLEW_")},
            "CLEW_HOME": str(folder),
            "CLEW_CONFIG": str(folder / "clew.toml"),
            "CLEW_KEY_PROVIDER": "file",
            "CLEW_LOG_LEVEL": "error",
            "CLEW_ALLOW_WRITES": "1",
        },
    )
    async with Client(server, elicitation_callback=say_yes) as client:
        yield Tour(sandbox, client, as_json, asked)


async def _list(tour: Tour) -> Step:
    tools = (await tour.client.list_tools()).tools
    kinds = [_kind(tool) for tool in tools]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("read", "write", "destructive"))
    size = len(json.dumps([tool.model_dump(by_alias=True, exclude_none=True) for tool in tools]))
    said = f"{len(tools)} tools ({counts}), {size / 1000:.1f} kB in all: {', '.join(tool.name for tool in tools)}"
    return Step("Ask the server for its tools", said=said, result=[tool.name for tool in tools], ok=len(tools) > 5)


def _kind(tool: types.Tool) -> str:
    hints = tool.annotations
    assert hints is not None
    return "read" if hints.read_only_hint else "destructive" if hints.destructive_hint else "write"


async def _read(tour: Tour) -> Step:
    step = Step("Read, page by page", "search_contacts", {"text": "books"})
    first = await tour.call(step)
    found = len(_items(first))
    cursor, pages = first.get("next_cursor"), 1
    while cursor:
        step.arguments["cursor"] = cursor
        page = await tour.call(step)
        found, cursor, pages = found + len(_items(page)), page.get("next_cursor"), pages + 1
    step.arguments.pop("cursor", None)
    everybody = await tour.client.call_tool("search_contacts", {})
    more = (as_object(everybody.structured_content) or {}).get("next_cursor")
    second = await tour.client.call_tool("search_contacts", {"cursor": more})
    rest = len(_items(as_object(second.structured_content) or {}))
    sample = _items(first)[0]
    step.said = (
        f"{found} contacts match, such as {json.dumps(sample, ensure_ascii=False)}\n"
        f"All contacts take two pages: the first names a cursor, the second has the other {rest}."
    )
    step.ok = found > 0 and rest > 0
    return step


async def _write(tour: Tour) -> Step:
    step = Step("Write", "create_ticket", {"subject": "Printer on fire", "priority": "high"})
    ticket = await tour.call(step)
    step.said = f"Ticket {ticket.get('id')} is {ticket.get('status')}."
    step.ok = ticket.get("status") == "open"
    return step


async def _destroy(tour: Tour) -> Step:
    step = Step("Destroy, but only after a person has seen what", "delete_contact", {"contact_id": "con_000003"})
    result = await tour.call(step)
    question = tour.asked[-1] if tour.asked else ""
    step.said = "The server asked the person, with the object as it fetched it itself:\n"
    step.said += "\n".join(f"  | {line}" for line in question.splitlines()) + "\nThe person said yes; it is gone."
    step.ok = result == {"done": True} and "con_000003" in question and len(tour.asked) == 1
    return step


async def _limit(tour: Tour) -> Step:
    tour.sandbox.fault("rate_limit", seconds=2)
    step = Step("Meet a rate limit: Acme answers 429, come back in 2 s", "list_tickets", {"status": "open"})
    tickets = await tour.call(step)
    step.said = (
        f"clew waited and asked again; the agent only saw {len(_items(tickets))} tickets, {step.seconds} s later."
    )
    step.ok = bool(_items(tickets)) and step.seconds >= 2
    return step


async def _refuse_to_wait(tour: Tour) -> Step:
    tour.sandbox.fault("rate_limit", method="GET", path="/api/contacts", seconds=900)
    step = Step("Meet a longer one: come back in 15 minutes", "get_contact", {"contact_id": "con_000001"})
    error = _error(await tour.call(step))
    step.said = _shown(error, "code", "outcome", "retry_after_seconds", "next")
    step.said += f"\nNobody slept: the answer came after {step.seconds} s."
    step.ok = error.get("code") == "rate_limited" and error.get("retry_after_seconds", 0) > 800 and step.seconds < 2
    return step


async def _refresh(tour: Tour) -> Step:
    before = tour.sandbox.state.tokens.refreshed
    tour.sandbox.fault("expire_token")
    step = Step("Let the access token expire", "list_tickets", {"status": "closed"})
    tickets = await tour.call(step)
    refreshed = tour.sandbox.state.tokens.refreshed - before
    step.said = (
        f"clew refreshed it ({refreshed} time), stored the new single-use refresh token first, and repeated the call:\n"
        f"the agent saw {len(_items(tickets))} tickets and no error."
    )
    step.ok = refreshed == 1 and "items" in tickets
    return step


async def _lose_the_answer(tour: Tour) -> Step:
    before = tour.sandbox.state.committed("ticket")
    tour.sandbox.fault("drop_after_commit", method="POST", path="/api/tickets")
    step = Step("Lose the answer to a write", "create_ticket", {"subject": "Was this one created?"})
    error = _error(await tour.call(step))
    made = tour.sandbox.state.committed("ticket") - before
    step.said = _shown(error, "code", "outcome", "next")
    step.said += (
        f"\nAcme did create it, {made} time: clew never sends a write again without proof that it did not happen."
    )
    step.ok = error.get("outcome") == "unknown"
    return step


def _items(page: Mapping[str, Any]) -> list[Any]:
    return as_list(page.get("items")) or []


def _error(result: Mapping[str, Any]) -> dict[str, Any]:
    return as_object(result.get("error")) or {}


def _shown(error: Mapping[str, Any], *names: str) -> str:
    return "\n".join(f"  | {name}: {error.get(name)}" for name in names)
