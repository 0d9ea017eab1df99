"""Somebody who has no business at the console, or a page, a model or a text that works on somebody who has."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import anyio
import httpx
import pytest
from mcp import Client, MCPError

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.approvals import State
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.policy import Decision, Policy
from clew.core.secret import Secret
from clew.servers.console.desk import Desk, open_desk
from clew.servers.console.sessions import IDLE_SECONDS, TICKET_SECONDS, Sessions
from clew.servers.console_address import announced
from clew.servers.http import serve_http
from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import ConnectorSettings, Settings

from .console_world import BASE, ONLY_CLI, ORIGIN, Browser, asked, browser, question, ruling

pytestmark = pytest.mark.anyio

LIE = "Alan\u202enaitsirhC\u202c<script>alert(1)</script>\x1b[2J **approved** [ok](javascript:alert(1))\u200b"
PAGES = ("approvals", "connections", "limits", "events", "writes", "audit", "stats")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
async def runtime(tmp_path: Path, sandbox: Sandbox) -> AsyncGenerator[Runtime]:
    connectors = {"acme": ConnectorSettings(base_url=sandbox.url)}
    policy = Policy(writes=Decision.ALLOW)
    settings = Settings(home=tmp_path / "home", key_provider="file", connectors=connectors, deadline=20, policy=policy)
    async with Runtime.open(settings, ["acme"]) as opened:
        connection = Connection(LOCAL_TENANT, "acme", "main")
        await set_token(opened.vault, connection, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
        yield opened


@pytest.fixture
async def desk(runtime: Runtime) -> AsyncGenerator[Desk]:
    async with open_desk(runtime.settings, runtime) as opened:
        yield opened


@pytest.fixture
async def ada(desk: Desk) -> AsyncGenerator[Browser]:
    async with browser(desk) as opened:
        assert (await opened.enter()).status_code == 200
        yield opened


async def state(desk: Desk, id: str) -> State:
    return (await desk.approvals.get(id)).state


# Without a session.


async def test_without_a_session_nothing_is_shown_and_nothing_is_done(desk: Desk) -> None:
    waits = await asked(desk)
    async with browser(desk) as stranger:
        for path in (
            *PAGES,
            f"approvals/{waits.id}",
            f"approvals/{waits.id}/edit",
            "approvals/waiting.json",
            "nothing",
        ):
            page = await stranger.get(f"{BASE}/{path}")
            assert page.status_code == 401
            assert "Alan" not in page.text
            assert waits.id not in page.text.replace(f"/approvals/{waits.id}", "")
        answer = await stranger.post(f"{BASE}/approvals/{waits.id}", {"verdict": "approve", "seen": waits.shown})
        assert answer.status_code == 401
    assert await state(desk, waits.id) is State.PENDING


async def test_a_link_works_once_and_whoever_steals_it_later_is_left_outside(desk: Desk) -> None:
    ticket = (await desk.sessions.ticket("ada")).reveal()
    async with browser(desk) as ada, browser(desk) as thief:
        assert (await ada.post(f"{BASE}/enter", {"ticket": ticket})).status_code == 200
        for attempt in (ticket, f"{ORIGIN}{BASE}/enter#{ticket}", "", "x" * 5000):
            refused = await thief.post(f"{BASE}/enter", {"ticket": attempt})
            assert refused.status_code == 403
            assert not thief.http.cookies
        assert (await thief.get(f"{BASE}/approvals")).status_code == 401
        assert (await ada.get(f"{BASE}/approvals")).status_code == 200


async def test_of_two_who_open_one_link_at_the_same_moment_one_gets_in(desk: Desk) -> None:
    ticket = (await desk.sessions.ticket("ada")).reveal()
    async with browser(desk) as one, browser(desk) as two:
        answers = await asyncio.gather(*(each.post(f"{BASE}/enter", {"ticket": ticket}) for each in (one, two)))
    assert sorted(each.status_code for each in answers) == [200, 403]


async def test_links_and_sessions_end_by_themselves(desk: Desk) -> None:
    clock = Clock()
    sessions = Sessions(desk.store.database, 8 * 3600.0, clock)
    late = await sessions.ticket("ada")
    clock.now += TICKET_SECONDS + 1
    assert await sessions.spend(late) is None
    idle, busy = await sessions.open("ada", (), "link"), await sessions.open("ada", (), "link")
    last = await sessions.visitor(busy, "link")
    assert last is not None
    for _ in range(9):
        clock.now += IDLE_SECONDS - 1
        last = await sessions.visitor(busy, "link")
    assert await sessions.visitor(idle, "link") is None
    assert last is None, "eight hours are over, however busy it was"


async def test_a_session_that_an_attacker_has_planted_is_not_the_one_a_person_gets(desk: Desk) -> None:
    async with browser(desk) as ada, browser(desk) as attacker:
        await attacker.enter("eve")
        planted = attacker.http.cookies["clew_console"]
        ada.http.cookies.set("clew_console", planted, domain="127.0.0.1", path="/")
        await ada.enter("ada")
        (own,) = {each.value for each in ada.http.cookies.jar}
        assert own != planted
        assert "ada" in (await ada.get(f"{BASE}/approvals")).text
        assert (await attacker.get(f"{BASE}/approvals")).status_code == 401, "the planted session is over"
        ada.http.cookies.set("clew_console", "made-up-by-somebody", domain="127.0.0.1", path="/")
        assert (await ada.get(f"{BASE}/approvals")).status_code == 401


async def test_whoever_logs_out_is_out_also_with_a_copy_of_the_cookie(ada: Browser) -> None:
    copy = ada.http.cookies["clew_console"]
    await ada.get(f"{BASE}/approvals")
    await ada.submit(f"{BASE}/leave")
    assert not ada.http.cookies
    ada.http.cookies.set("clew_console", copy, domain="127.0.0.1", path="/")
    assert (await ada.get(f"{BASE}/approvals")).status_code == 401


async def test_neither_links_nor_sessions_can_be_read_from_the_database_or_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    waiting = (await desk.sessions.ticket("ada")).reveal()
    async with browser(desk) as ada:
        await ada.enter()
        await ada.get(f"{BASE}/approvals")
        session = ada.http.cookies["clew_console"]
    rows = [
        str(await desk.store.database.fetch_all(f"SELECT * FROM console_{table}")) for table in ("tickets", "sessions")
    ]
    for secret in (waiting, session):
        assert secret not in "".join(rows)
        assert secret not in caplog.text


# Other pages and other names.


@pytest.mark.parametrize("token", ["", "0" * 64, "of another session"])
async def test_a_form_without_the_session_s_own_token_does_nothing(desk: Desk, ada: Browser, token: str) -> None:
    waits = await asked(desk)
    async with browser(desk) as eve:
        await eve.enter("eve")
        await eve.get(f"{BASE}/approvals/{waits.id}")
        foreign = eve.form(f"{BASE}/approvals/{waits.id}")["csrf"]
    await ada.get(f"{BASE}/approvals/{waits.id}")
    forged = await ada.submit(
        f"{BASE}/approvals/{waits.id}", verdict="approve", csrf=foreign if token == "of another session" else token
    )
    assert forged.status_code == 403
    assert await state(desk, waits.id) is State.PENDING


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999", "sec_fetch_site": "same-site"},
        {"origin": ORIGIN, "sec_fetch_site": "cross-site"},
        {"origin": "", "sec_fetch_site": "cross-site"},
        {"origin": "", "sec_fetch_site": ""},
    ],
)
async def test_a_form_from_another_place_does_nothing_even_with_the_right_token(
    desk: Desk, ada: Browser, headers: dict[str, str]
) -> None:
    waits = await asked(desk)
    await ada.get(f"{BASE}/approvals/{waits.id}")
    fields = ada.form(f"{BASE}/approvals/{waits.id}") | {"verdict": "approve"}
    refused = await ada.post(f"{BASE}/approvals/{waits.id}", fields, **headers)
    assert refused.status_code == 403
    ticket = (await desk.sessions.ticket("eve")).reveal()
    assert (await ada.post(f"{BASE}/enter", {"ticket": ticket}, **headers)).status_code == 403, "no login for others"
    assert await state(desk, waits.id) is State.PENDING


async def test_a_name_that_was_rebound_to_this_machine_is_not_served(desk: Desk, ada: Browser) -> None:
    for host in ("evil.example", "evil.example:8767", "127.0.0.1:80", "127.0.0.1.evil.example:8767", ""):
        page = await ada.get(f"{BASE}/approvals", host=host)
        assert page.status_code == 421
        assert "csrf" not in page.text


async def test_no_page_can_be_framed_or_run_a_script_of_its_own(desk: Desk, ada: Browser) -> None:
    waits = await asked(desk)
    for path in (*PAGES, f"approvals/{waits.id}", f"approvals/{waits.id}/edit", "none", "style.css", "script.js"):
        page = await ada.get(f"{BASE}/{path}")
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["x-content-type-options"] == "nosniff"
        if "text/html" in page.headers["content-type"]:
            assert page.headers["cache-control"] == "no-store"
            assert not re.search(r"<[^>]*\s(style|on\w+)=|<style|<script(?! src=)|javascript:", page.text)


async def test_the_session_s_cookie_is_hidden_from_scripts_and_from_other_sites(desk: Desk) -> None:
    for url, origin in (("", ORIGIN), ("https://clew.example.com", "https://clew.example.com")):
        async with browser(desk, url=url, origin=origin) as ada:
            ticket = await desk.sessions.ticket("ada")
            fields, headers = {"ticket": ticket.reveal()}, {"origin": origin}
            answer = await ada.http.post(f"{BASE}/enter", data=fields, headers=headers)
            cookie = answer.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=lax" in cookie
            assert ("secure" in cookie) is origin.startswith("https")
            assert cookie.startswith("__host-") is origin.startswith("https")


# Who may decide.


async def test_what_is_not_mine_to_decide_is_not_there(desk: Desk, ada: Browser) -> None:
    others = await asked(desk, how=ruling(approvers=("bob",)))
    elsewhere = await asked(desk, question(arguments={"contact_id": "con_000004"}), ruling(channels=ONLY_CLI))
    listed = (await ada.get(f"{BASE}/approvals")).text + (await ada.get(f"{BASE}/approvals/waiting.json")).text
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', listed)
    assert token
    for each in (others, elsewhere):
        assert each.id not in listed
        assert (await ada.get(f"{BASE}/approvals/{each.id}")).status_code == 404
        assert (await ada.get(f"{BASE}/approvals/{each.id}/edit")).status_code == 404
        for path in ("", "/look", "/edit"):
            fields = {"csrf": token[1], "verdict": "approve", "seen": each.shown, "arguments": "{}"}
            assert (await ada.post(f"{BASE}/approvals/{each.id}{path}", fields)).status_code == 404
        assert await state(desk, each.id) is State.PENDING


async def test_two_people_must_agree_and_one_cannot_be_both(desk: Desk, ada: Browser) -> None:
    waits = await asked(desk, how=ruling(needed=2))
    await ada.get(f"{BASE}/approvals/{waits.id}")
    form = ada.form(f"{BASE}/approvals/{waits.id}") | {"verdict": "approve"}
    await ada.post(f"{BASE}/approvals/{waits.id}", form)
    assert (await ada.post(f"{BASE}/approvals/{waits.id}", form)).status_code == 409
    async with browser(desk) as again:
        await again.enter("ada")
        await again.get(f"{BASE}/approvals/{waits.id}")
        assert 'value="approve"' not in again.page.text
    assert await state(desk, waits.id) is State.PENDING
    async with browser(desk) as bob:
        await bob.enter("bob")
        await bob.get(f"{BASE}/approvals/{waits.id}")
        await bob.submit(f"{BASE}/approvals/{waits.id}", verdict="approve")
    kept = await desk.approvals.get(waits.id)
    assert kept.state is State.APPROVED
    assert [vote.approver for vote in kept.votes] == ["ada", "bob"]


async def test_of_two_who_decide_at_the_same_moment_one_counts(desk: Desk) -> None:
    waits = await asked(desk)
    path = f"{BASE}/approvals/{waits.id}"
    async with browser(desk) as ada, browser(desk) as bob:
        for each, name in ((ada, "ada"), (bob, "bob")):
            await each.enter(name)
            await each.get(path)
        answers = await asyncio.gather(ada.submit(path, verdict="approve"), bob.submit(path, verdict="deny"))
    assert sorted(each.status_code for each in answers) == [200, 409]
    assert len((await desk.approvals.get(waits.id)).votes) == 1


async def test_a_yes_to_what_another_has_changed_meanwhile_is_no_yes(desk: Desk, ada: Browser) -> None:
    waits = await asked(desk, how=ruling(needed=2))
    path = f"{BASE}/approvals/{waits.id}"
    async with browser(desk) as bob:
        await bob.enter("bob")
        await bob.get(path)
        await ada.get(f"{path}/edit")
        await ada.submit(f"{path}/look", **{"argument.contact_id": "con_000004"})
        assert (await ada.submit(f"{path}/edit")).status_code == 200
        assert (await bob.submit(path, verdict="approve")).status_code == 409
        assert await state(desk, waits.id) is State.PENDING
        listed, seen = await bob.get(f"{BASE}/approvals"), await bob.get(path)
        # What a yes is to now is another person, and it is that one whom bob has to see.
        assert "con_000004" in listed.text
        assert "con_000004" in seen.text
        assert "Dijkstra" in seen.text
        assert "Turing" not in seen.text


async def test_an_edit_counts_only_for_what_was_looked_at(desk: Desk, ada: Browser) -> None:
    waits = await asked(desk)
    path = f"{BASE}/approvals/{waits.id}"
    await ada.get(f"{path}/edit")
    await ada.submit(f"{path}/look", **{"argument.contact_id": "con_000004"})
    swapped = await ada.submit(f"{path}/edit", arguments='{"contact_id": "con_000009"}')
    assert swapped.status_code == 409
    assert await state(desk, waits.id) is State.PENDING


# What comes from outside, and the model.


async def test_hostile_text_is_shown_as_what_it_is(desk: Desk, ada: Browser) -> None:
    hostile = question(
        preview={"name": LIE, LIE: {"deep": [LIE]}, "password": "hunter2hunter2"}, identity=LIE,
        arguments={"contact_id": LIE, "client_secret": "hunter2hunter2"}, because=LIE, description=f"Delete. {LIE}",
    )  # fmt: skip
    waits = await asked(desk, hostile)
    for path in ("approvals", f"approvals/{waits.id}", f"approvals/{waits.id}/edit"):
        page = (await ada.get(f"{BASE}/{path}")).text
        assert "<script>alert" not in page
        assert 'href="javascript:' not in page
        assert "hunter2" not in page
        if path.endswith("/edit"):
            continue  # a field must hold the text itself
        assert not set("\x1b\u202e\u202c\u200b") & set(page)
    page = (await ada.get(f"{BASE}/approvals/{waits.id}")).text
    assert page.count("U+202E") >= 4
    assert "Be careful" in page
    assert "holds control characters that could draw on a terminal" in page
    assert "U+001B" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "**approved** [ok](javascript:alert(1))" in page


async def test_a_note_of_a_person_cannot_act_on_another_person_s_page(desk: Desk, ada: Browser) -> None:
    waits = await asked(desk)
    await ada.get(f"{BASE}/approvals/{waits.id}")
    page = await ada.submit(f"{BASE}/approvals/{waits.id}", verdict="deny", note=LIE)
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_a_model_gets_the_link_and_nothing_that_opens_it(runtime: Runtime, desk: Desk, sandbox: Sandbox) -> None:
    ready: list[str] = []
    came = anyio.Event()

    def on_ready(url: str) -> None:
        ready.append(url)
        came.set()

    async with anyio.create_task_group() as group:
        group.start_soon(serve_http, runtime, "127.0.0.1:0", on_ready)
        await came.wait()
        async with Client(ready[0]) as model:
            runtime.walk.consenting.sleep = lambda seconds: asyncio.sleep(0)
            names = {tool.name for tool in (await model.list_tools()).tools}
            assert not {name for name in names if "approv" in name or "console" in name}
            answer = await model.call_tool("delete_contact", {"contact_id": "con_000003"})
            error = answer.structured_content["error"]
            assert error["code"] == "approval_required"
            waits = (await desk.approvals.list())[0]
            root = ready[0].removesuffix("/mcp")
            assert error["url"] == f"{root}{BASE}/approvals/{waits.id}"
            assert error["url"] in error["next"]
            async with httpx.AsyncClient() as http:
                page = await http.get(error["url"])
                assert page.status_code == 401
                assert "Turing" not in page.text
                post = await http.post(
                    error["url"], data={"verdict": "approve", "seen": waits.shown}, headers={"origin": root}
                )
                assert post.status_code == 401
            for name in ("approve", "approvals", "vote"):
                with pytest.raises(MCPError, match="Unknown tool"):
                    await model.call_tool(name, {"id": waits.id})
            again = await model.call_tool("delete_contact", {"contact_id": "con_000003", "approval": waits.id})
            assert again.is_error
        group.cancel_scope.cancel()
    assert [each.state for each in await desk.approvals.list(pending=False)] == [State.PENDING]
    assert sandbox.state.committed("contact", "delete") == 0


async def test_a_link_to_a_console_that_is_gone_is_not_given(runtime: Runtime) -> None:
    console = runtime.walk.consenting.console
    assert console() == ""
    with announced(runtime.settings, "http://127.0.0.1:1/console"):
        assert console() == "http://127.0.0.1:1/console"
        with announced(runtime.settings, "http://127.0.0.1:2/console"):
            assert console() == "http://127.0.0.1:1/console"
    assert console() == ""
    (runtime.settings.home / "console.json").write_text('{"url": "http://127.0.0.1:666/console"}')
    assert console() == "", "what a dead process left behind leads nowhere"


async def test_a_person_who_says_yes_at_the_console_lets_the_waiting_call_go_on(
    runtime: Runtime, desk: Desk, sandbox: Sandbox, ada: Browser
) -> None:
    async def decide() -> None:
        while not (found := await desk.approvals.list()):  # noqa: ASYNC110 - the call is about to ask
            await asyncio.sleep(0.02)
        await ada.get(f"{BASE}/approvals/{found[0].id}")
        await ada.submit(f"{BASE}/approvals/{found[0].id}", verdict="approve", note="go on")

    with announced(runtime.settings, f"{ORIGIN}{BASE}"):
        async with Client(build_server(runtime)) as model, anyio.create_task_group() as group:
            group.start_soon(decide)
            result = await model.call_tool("delete_contact", {"contact_id": "con_000003"})
            assert not result.is_error
            assert "go on" in str(result.structured_content)
    assert sandbox.state.committed("contact", "delete") == 1
    assert runtime.evidence is not None
    await runtime.evidence.audit.flush()
    page = await ada.get(f"{BASE}/audit?tool=delete_contact")
    assert "a person agreed" in page.text
