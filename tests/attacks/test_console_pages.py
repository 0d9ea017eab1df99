"""The console's pages as a person uses them, without scripts."""

import json
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from mcp import Client, types

from clew.auth.connections import set_token
from clew.auth.schemes import Bearer
from clew.core.approvals import State, Verdict
from clew.core.audit_reading import Filter, last
from clew.core.connection import LOCAL_TENANT, Connection
from clew.core.errors import AlreadyDoneError, CallError, ConfigurationError, DeniedError
from clew.core.inbox import Incoming
from clew.core.inbox import Status as Stage
from clew.core.journal import State as Written
from clew.core.policy import Decision, Policy
from clew.core.secret import Secret
from clew.servers.console.desk import Desk, open_desk
from clew.servers.console_settings import ConsoleSettings
from clew.servers.mcp import build_server
from clew.servers.runtime import Runtime
from clew.servers.sandbox import Sandbox
from clew.servers.settings import ConnectorSettings, Settings, load_settings

from .console_world import BASE, Browser, asked, browser, question, ruling

pytestmark = pytest.mark.anyio
HERE = Connection(LOCAL_TENANT, "acme", "main")


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
        await set_token(opened.vault, HERE, Bearer(), {"token": Secret(sandbox.pat)}, origin=sandbox.url)
        yield opened


@pytest.fixture
async def desk(runtime: Runtime) -> AsyncGenerator[Desk]:
    async with open_desk(runtime.settings, runtime) as opened:
        yield opened


@pytest.fixture
async def ada(desk: Desk) -> AsyncGenerator[Browser]:
    async with browser(desk) as opened:
        await opened.enter()
        yield opened


async def test_an_approval_shows_the_object_what_will_be_done_and_what_could_mislead(desk: Desk, ada: Browser) -> None:
    waits = await asked(
        desk, question(preview={"name": "\u0410lan Turing", "company": "Nordwind GmbH"}, because="rule x")
    )
    assert waits.id in (await ada.get(f"{BASE}/approvals")).text
    page = (await ada.get(f"{BASE}/approvals/{waits.id}")).text
    for said in ("Delete a contact. It cannot be restored.", "Nordwind GmbH", "con_000003", "rule x"):
        assert said in page
    assert "Cyrillic" in page


@pytest.mark.parametrize(
    ("verdict", "state", "error"),
    [("deny", State.DENIED, DeniedError), ("done", State.DONE, AlreadyDoneError)],
)
async def test_a_no_and_a_deed_by_hand_reach_the_agent_with_the_person_s_note(
    runtime: Runtime, desk: Desk, ada: Browser, verdict: str, state: State, error: type[CallError]
) -> None:
    runtime.walk.consenting.sleep = lambda seconds: decide()

    async def decide() -> None:
        (waits,) = await desk.approvals.list()
        await ada.get(f"{BASE}/approvals/{waits.id}")
        await ada.submit(f"{BASE}/approvals/{waits.id}", verdict=verdict, note="by phone, on Monday")

    with pytest.raises(error, match=r"ada.*by phone, on Monday"):
        await runtime.call("delete_contact", {"contact_id": "con_000003"})
    (kept,) = await desk.approvals.list(pending=False)
    assert (kept.state, kept.by) == (state, "ada")
    assert "by phone, on Monday" in (await ada.get(f"{BASE}/approvals/{kept.id}")).text


async def test_other_arguments_are_looked_at_and_then_run(
    runtime: Runtime, desk: Desk, ada: Browser, sandbox: Sandbox
) -> None:
    runtime.walk.consenting.sleep = lambda seconds: decide()

    async def decide() -> None:
        (waits,) = await desk.approvals.list()
        path = f"{BASE}/approvals/{waits.id}"
        form = await ada.get(f"{path}/edit")
        assert 'value="con_000003"' in form.text
        wrong = await ada.submit(f"{path}/look", **{"argument.contact_id": "con_999999"})
        assert wrong.status_code == 400
        assert 'value="con_999999"' in wrong.text
        looked = await ada.submit(f"{path}/look", **{"argument.contact_id": "con_000004"})
        for said in ("<del>con_000003</del>", "<ins>con_000004</ins>", "<del>Turing</del>", "<ins>Dijkstra</ins>"):
            assert said in looked.text
        done = await ada.submit(f"{path}/edit", note="the other one")
        assert "approved" in done.text

    result = await runtime.call("delete_contact", {"contact_id": "con_000003"})
    assert "ada changed the arguments" in result["note"]
    assert "the other one" in result["note"]
    assert sandbox.state.store.contacts.get("con_000003") is not None
    assert sandbox.state.store.contacts.get("con_000004") is None


async def test_an_edit_of_an_approval_that_is_decided_comes_too_late(desk: Desk, ada: Browser) -> None:
    waits = await asked(desk)
    await ada.get(f"{BASE}/approvals/{waits.id}/edit")
    await ada.submit(f"{BASE}/approvals/{waits.id}/look")
    form = ada.form(f"{BASE}/approvals/{waits.id}/edit")
    await ada.get(f"{BASE}/approvals/{waits.id}")
    await ada.submit(f"{BASE}/approvals/{waits.id}", verdict="deny")
    assert (await ada.post(f"{BASE}/approvals/{waits.id}/edit", form)).status_code == 409
    assert (await ada.get(f"{BASE}/approvals/{waits.id}/edit")).status_code == 409


async def test_a_write_in_doubt_is_settled_by_a_person_or_by_a_look(
    runtime: Runtime, desk: Desk, ada: Browser, sandbox: Sandbox
) -> None:
    journal = desk.store.journal
    for subject in ("one", "two"):
        await runtime.call("create_ticket", {"subject": subject, "request_id": subject})
    first, second = await journal.rows()
    await desk.store.database.execute("UPDATE writes SET state = 'unknown', ended_at = NULL")
    listed = (await ada.get(f"{BASE}/writes")).text
    assert "Of 2 nobody knows" in listed
    path = f"{BASE}/writes/{first.id}"
    await ada.get(path)
    nothing = await ada.submit(path, how="burn it")
    assert nothing.status_code == 400
    await ada.get(path)
    await ada.submit(path, how="not_applied")
    settled = await journal.get(first.id)
    assert settled is not None
    assert (settled.state, settled.settled_by) == (Written.NOT_APPLIED, "person ada")
    await ada.get(f"{BASE}/writes/{second.id}")
    looked = await ada.submit(f"{BASE}/writes/{second.id}", how="verify")
    assert looked.status_code == 409, "arguments of an ended write are gone, so a look cannot tell"
    for other in (first.id[:12], "%", "none"):
        assert (await ada.get(f"{BASE}/writes/{other}")).status_code == 404


async def test_dead_letters_are_tried_again(desk: Desk, ada: Browser) -> None:
    numbers = await desk.inbox.store(
        [Incoming(HERE, (each,), "payment.failed", '{"iban": "DE00"}', reference=each) for each in ("p1", "p2", "p3")]
    )
    await desk.store.database.execute("UPDATE inbox_events SET status = 'dead', trouble = 'boom'")
    page = await ada.get(f"{BASE}/events?status=dead")
    assert "boom" in page.text
    assert "DE00" not in page.text
    first = f"evt_{numbers[0]:x}"
    await ada.submit(f"{BASE}/events", event=first)
    assert await desk.inbox.count() == {Stage.PENDING: 1, Stage.DONE: 0, Stage.DEAD: 2}
    await ada.get(f"{BASE}/events")
    await ada.submit(f"{BASE}/events", event="all")
    assert (await desk.inbox.count())[Stage.DEAD] == 0
    form = {"csrf": (await ada.get(f"{BASE}/approvals")).text.split('name="csrf" value="')[1][:64]}
    for event, status in (("", 400), ("evt_1", 404), ("all", 409)):
        assert (await ada.post(f"{BASE}/events", form | {"event": event})).status_code == status


async def test_the_audit_is_searched_and_a_call_tells_its_story(runtime: Runtime, desk: Desk, ada: Browser) -> None:
    await runtime.call("get_contact", {"contact_id": "con_000001"})
    with pytest.raises(CallError) as missing:
        await runtime.call("get_contact", {"contact_id": "con_999999"})
    assert runtime.evidence is not None
    await runtime.evidence.audit.flush()
    assert (await ada.get(f"{BASE}/audit")).text.count("get_contact") >= 2
    failed = (await ada.get(f"{BASE}/audit?failed=1&connector=acme&since=1h")).text
    assert "not found" in failed
    assert failed.count("</tr>") == 2
    for query in ("since=never", "reference=' OR 1"):
        assert (await ada.get(f"{BASE}/audit?{query}")).status_code == 400
    told = await ada.get(f"{BASE}/audit?reference={missing.value.reference}")
    assert str(told.url).endswith(f"/audit/{missing.value.reference}")
    assert "The object is not there" in told.text
    assert "GET /api/contacts/{}" in told.text
    assert (await ada.get(f"{BASE}/audit/0000000000000000")).status_code == 404
    assert "of calls succeeded" in (await ada.get(f"{BASE}/stats?since=24h&by=code")).text


async def test_a_call_that_asked_and_came_back_leads_from_one_round_to_the_other(
    runtime: Runtime, desk: Desk, ada: Browser
) -> None:
    async def agree(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"approve": True})

    async with Client(build_server(runtime), elicitation_callback=agree) as client:
        assert not (await client.call_tool("delete_contact", {"contact_id": "con_000003"})).is_error
    assert runtime.evidence is not None
    await runtime.evidence.audit.flush()
    first, second = await last(runtime.store.database, Filter(tool="delete_contact"), 10)
    for one, other in ((first, second), (second, first)):
        page = (await ada.get(f"{BASE}/audit/{one['reference']}")).text
        assert "has 2 rounds" in page
        assert f'href="{BASE}/audit/{other["reference"]}"' in page
        assert f'href="{BASE}/audit/{one["reference"]}"' not in page


async def test_connections_and_limits_say_what_is_known(runtime: Runtime, desk: Desk, ada: Browser) -> None:
    await runtime.call("get_contact", {"contact_id": "con_000001"})
    broken = Connection(LOCAL_TENANT, "github", "work")
    await set_token(runtime.vault, broken, Bearer(), {"token": Secret("t")}, origin="https://api.github.com")
    record = await runtime.vault.get(broken)
    assert record is not None
    facts = json.loads(record.facts.encode()) | {"refused_at": time.time(), "refused": "bad_credentials"}
    await desk.store.database.execute(
        "UPDATE vault_connections SET facts = ? WHERE connector = 'github'", json.dumps(facts)
    )
    page = (await ada.get(f"{BASE}/connections")).text
    assert "bad_credentials" in page
    assert "clew auth set github" in page
    assert "acme" in (await ada.get(f"{BASE}/limits")).text


def test_names_and_domains_let_in_whom_they_mean_and_nobody_else() -> None:
    rules = ConsoleSettings(operators=("ada@x.example",), operator_groups=("ops",), people=("@x.example",))
    assert rules.admits("bob@x.example", ())
    assert not rules.admits("bob@x.example.evil", ())
    assert not rules.admits("x.example", ())
    assert rules.is_operator("ada@x.example", ())
    assert rules.is_operator("bob@x.example", ("ops",))
    assert not rules.is_operator("bob@x.example", ("staff",))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("issuer = 'https://id.example'\nclient_id = 'c'", "lets nobody in"),
        ("issuer = 'https://id.example'\npeople = ['@x.example']", "no client_id"),
        ("issuer = 'http://id.example'", "must be like https"),
        ("url = 'https://x.example/clew'", "must have no path"),
        ("client_secret = 's3cret'", "CLEW_CONSOLE_CLIENT_SECRET"),
        ("session = '1s'", "from .1m. to .30d."),
        ("people = 'ada'", "must be a list"),
        ("identity = 5", "must be a text"),
        ("colour = 'red'", "no setting 'colour'"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(tmp_path: Path, table: str, says: str) -> None:
    file = tmp_path / "clew.toml"
    file.write_text(f"[console]\n{table}\n")
    with pytest.raises(ConfigurationError, match=says) as refused:
        load_settings({"CLEW_CONFIG": str(file)})
    assert "s3cret" not in str(refused.value)


def test_settings_come_from_the_file_and_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "clew.toml"
    file.write_text("[console]\nissuer = 'https://id.example'\nclient_id = 'c'\npeople = ['ada']\nsession = '30m'\n")
    found = load_settings({"CLEW_CONFIG": str(file), "CLEW_CONSOLE_CLIENT_SECRET": "hush", "CLEW_HOME": str(tmp_path)})
    assert (found.console.session, found.console.client_secret.reveal()) == (1800.0, "hush")
    assert "hush" not in repr(found)


def test_a_project_cannot_say_who_gets_in(tmp_path: Path) -> None:
    (tmp_path / "clew.toml").write_text("[console]\npeople = ['eve']\n")
    with pytest.raises(ConfigurationError, match="cannot be set by a project"):
        load_settings({"CLEW_HOME": str(tmp_path)}, project=tmp_path)


async def test_what_was_decided_stays_readable(desk: Desk, ada: Browser) -> None:
    waits = await asked(desk, how=ruling(needed=2))
    await ada.get(f"{BASE}/approvals/{waits.id}")
    page = await ada.submit(f"{BASE}/approvals/{waits.id}", verdict="approve")
    assert "1 of 2 have agreed" in page.text
    assert "Waiting for somebody else" in (await ada.get(f"{BASE}/approvals")).text
    kept = await desk.approvals.get(waits.id)
    assert kept.votes[0].verdict is Verdict.APPROVE
