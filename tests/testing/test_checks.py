"""Each check finds what it is for, in a connector made to fail it, and says in which line to fix it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from clew import Api, Bearer, Connector, CursorPages, ErrorMap, LinkPages, OAuth2, Page, Rule, once
from clew.testing.kit import Seen, Subject, check, run
from clew.testing.snapshot import write_down

Make = Callable[..., Connector]


class Thing(BaseModel):
    id: str
    name: str


@pytest.fixture
def make() -> Make:
    def connector(**facts: Any) -> Connector:
        given: dict[str, Any] = {"auth": Bearer(), **facts}
        return Connector("billing", base_url="https://billing.example.com", **given)

    return connector


def faults(name: str, connector: Connector, folder: Path | None = None) -> list[str]:
    seen = look(name, connector, folder)
    return [finding.line for finding in seen.findings if not finding.advice]


def look(name: str, connector: Connector, folder: Path | None = None) -> Seen:
    return run(name, Subject(connector, folder))


def test_a_good_connector_is_fit_and_the_scorecard_says_so(make: Make, tmp_path: Path) -> None:
    good = make(pages=CursorPages(items="data"))

    @good.read
    async def list_things(api: Api, cursor: str | None = None) -> Page[Thing]:
        """List things, oldest first."""
        return await api.page("/things", into=Thing, cursor=cursor)

    @good.write(once=once.ProviderKey(header="Idempotency-Key"))
    async def create_thing(api: Api, name: str) -> Thing:
        """Create a thing."""
        return await api.post("/things", json={"name": name}, into=Thing)

    subject = Subject(good, tmp_path / "billing")
    assert write_down(subject) == tmp_path / "billing" / "tools.json"
    card = check(subject)
    assert card.passed, card.as_dict()
    assert card.as_dict()["checks"][0]["name"] == "schemas"
    assert card.seen["chaos"].count == 26
    assert card.seen["paging"].count == 1


def test_chaos_finds_a_tool_that_breaks_on_an_answer_of_another_shape(make: Make) -> None:
    fragile = make()

    @fragile.read
    async def get_name(api: Api) -> str:
        """Read the name."""
        return str((await api.get("/name"))["name"])

    found = faults("chaos", fragile)
    assert any("get_name and 200 with a list of texts: it fails inside the connector" in line for line in found)
    assert any("TypeError" in line for line in found)
    assert all("test_checks.py:" in line for line in found)


def test_chaos_finds_a_read_that_takes_a_failure_for_an_answer(make: Make) -> None:
    careless = make()

    @careless.read
    async def get_name(api: Api) -> str:
        """Read the name."""
        try:
            return str(await api.get("/name"))
        except Exception:
            return "nobody"

    found = faults("chaos", careless)
    assert any("a read timeout: it reports a success" in line for line in found)


def test_chaos_finds_a_write_that_says_nothing_happened_when_nobody_knows(make: Make) -> None:
    lying = make()

    @lying.write
    async def create_thing(api: Api) -> Thing:
        """Create a thing."""
        return await api.post("/things", json={}, into=Thing, safe=True)

    assert faults("chaos", lying) == []  # whoever says safe=True is believed

    @lying.write
    async def send_thing(api: Api) -> Thing:
        """Send a thing."""
        from clew import errors

        try:
            return await api.post("/things", json={}, into=Thing)
        except errors.OutcomeUnknownError:
            raise errors.NotFoundError("it is not there") from None

    found = faults("chaos", lying)
    assert any("send_thing and a read timeout: it ends with not_found, not outcome_unknown" in line for line in found)


class Lying:
    """A carrier that can be rehearsed, and says of every fault that nothing happened."""

    def rehearse(self, fault: str) -> bool:
        return fault in ("lost", "commit_lost", "conflict")

    async def carry(self, credential: Any, **facts: Any) -> Any:
        from clew import errors

        raise errors.TransientError("it broke.", outcome=errors.Outcome.NOT_APPLIED)


def test_chaos_finds_a_database_s_write_that_would_be_repeated_after_a_lost_commit() -> None:
    lying = Connector("shop", base_url="sql://db.example.com:5432", auth=Bearer())

    @lying.write
    async def change_row(api: Api) -> Thing:
        """Change a row."""
        await api.carry("SQL", "write", Lying(), safe=False)
        return Thing(id="1", name="x")

    @lying.read
    async def read_nothing(api: Api) -> str:
        """Read nothing."""
        return "nothing"

    seen = look("chaos", lying)
    assert [finding.line.partition("change_row and ")[2] for finding in seen.findings] == [
        "a deadlock: it ends with transient and not_applied, not conflict and not_applied. See docs/errors.md.",
        "a commit whose answer is lost: it ends with transient and not_applied, not outcome_unknown and unknown. "
        "See docs/errors.md.",
    ]
    assert seen.skipped == ["read_nothing: the faults of this database cannot be rehearsed"]


def test_the_canary_finds_a_tool_that_repeats_what_was_sent(make: Make) -> None:
    leaky = make()

    @leaky.read
    async def get_name(api: Api) -> str:
        """Read the name."""
        from clew import errors

        try:
            return str(await api.get("/name"))
        except errors.CallError as error:
            raise errors.NotFoundError(f"it said {error.provider_message} {api._wire.authorizer.secret}") from None  # type: ignore[union-attr]  # pyright: ignore

    assert any("the credential shows in the error" in line for line in faults("secrets", leaky))


def test_paging_finds_a_tool_that_forgets_the_cursor_and_one_that_ends_early(make: Make) -> None:
    paging = make(pages=CursorPages(items="data"))

    @paging.read
    async def list_first(api: Api, cursor: str | None = None) -> Page[Thing]:
        """List the first things again and again."""
        return await api.page("/things", into=Thing)

    @paging.read
    async def list_some(api: Api, cursor: str | None = None) -> Page[Thing]:
        """List some things."""
        page = await api.page("/things", into=Thing, cursor=cursor)
        return Page[Thing](items=page.items)

    found = faults("paging", paging)
    assert any("list_first asks for the first page again" in line for line in found)
    assert any("list_first runs in circles" in line for line in found)
    assert any("list_some ends after page 1 of three" in line for line in found)


def test_paging_finds_a_tool_that_goes_on_for_ever(make: Make) -> None:
    paging = make(pages=LinkPages())

    @paging.read
    async def list_things(api: Api, cursor: str | None = None) -> Page[Thing]:
        """List things."""
        page = await api.page("/things", into=Thing, cursor=cursor)
        return Page[Thing](items=page.items, next_cursor=page.next_cursor or cursor)

    assert any("goes on after the last page" in line for line in faults("paging", paging))


def test_effects_find_a_verb_at_the_wrong_door(make: Make) -> None:
    wrong = make()

    @wrong.write
    async def get_thing(api: Api) -> Thing:
        """Read a thing."""
        return await api.get("/thing", into=Thing)

    @wrong.read
    async def update_thing(api: Api) -> Thing:
        """Change a thing."""
        return await api.get("/thing", into=Thing)

    @wrong.write
    async def delete_thing(api: Api) -> None:
        """Delete a thing."""
        await api.delete("/thing")

    found = faults("effects", wrong)
    assert [line.partition(": ")[2].split(" ")[0] for line in found] == ["get_thing", "update_thing", "delete_thing"]
    assert len(look("writes", wrong).findings) == 2


def test_names_find_texts_that_say_too_little_or_the_same(make: Make) -> None:
    poor = make()

    @poor.read
    async def billing_list(api: Api) -> Thing:
        """List."""
        return await api.get("/thing", into=Thing)

    @poor.read
    async def list_things_of_all_customers_since_ever(api: Api) -> Thing:
        """List all of the things without a period"""
        return await api.get("/thing", into=Thing)

    @poor.read
    async def list_stuff(api: Api) -> Thing:
        """List all of the things without a period"""
        return await api.get("/thing", into=Thing)

    found = " ".join(faults("names", poor))
    for words in ("5 characters", "begins with the connector's name", "no whole sentence", "have the same text"):
        assert words in found


def test_tokens_find_a_tool_that_costs_too_much(make: Make) -> None:
    dear = make()

    async def search_things(api: Api) -> Thing:
        return await api.get("/thing", into=Thing)

    search_things.__doc__ = "Search things. " * 200
    dear.read(search_things)
    (found,) = faults("tokens", dear)
    assert "search_things costs 7" in found


def test_scopes_find_a_tool_that_names_no_right(make: Make) -> None:
    login = OAuth2(authorize_url="https://a.example/authorize", token_url="https://a.example/token")
    bare = make(auth=login)

    @bare.read
    async def get_thing(api: Api) -> Thing:
        """Read a thing."""
        return await api.get("/thing", into=Thing)

    assert any("names no right" in line for line in faults("scopes", bare))


def test_errors_find_rules_that_no_answer_exercises_and_answers_judged_otherwise(make: Make, tmp_path: Path) -> None:
    ruled = make(errors=ErrorMap(rules=(Rule(code="conflict", status=409), Rule(code="not_found", status=410))))
    answer: dict[str, Any] = {
        "request": {"method": "GET"},
        "status": 409,
        "headers": [],
        "body": {},
        "expect": {"code": "already_done"},
    }
    (tmp_path / "answers.jsonl").write_text(json.dumps(answer) + "\n")
    found = faults("errors", ruled, tmp_path)
    assert any("judged code conflict by status 409" in line and "answers.jsonl:1" in line for line in found)
    assert any("no recorded answer exercises the rule status 410" in line for line in found)


def test_the_snapshot_finds_a_tool_that_changed_came_or_went(make: Make, tmp_path: Path) -> None:
    def with_tool(text: str, name: str) -> Connector:
        made = make()

        async def tool(api: Api) -> Thing:
            return await api.get("/thing", into=Thing)

        tool.__doc__, tool.__name__ = text, name
        made.read(tool)
        return made

    first = with_tool("Read a thing.", "get_thing")
    assert any("nobody has written down" in line for line in faults("snapshot", first, tmp_path))
    write_down(Subject(first, tmp_path))
    assert faults("snapshot", first, tmp_path) == []
    (changed,) = faults("snapshot", with_tool("Read a thing quickly.", "get_thing"), tmp_path)
    assert '+ "description": "Read a thing quickly."' in changed
    assert "clew check billing --update" in changed
    gone, new = faults("snapshot", with_tool("Read a thing.", "read_thing"), tmp_path)
    assert "get_thing is gone" in gone
    assert "read_thing is new" in new


def test_webhook_vectors_are_verified(make: Make, tmp_path: Path) -> None:
    from clew.connectors.webhooks.standards import STANDARD

    signed = make(webhooks=STANDARD)
    vector = {
        "headers": {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        "body": '{"test": 2432232314}',
        "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "now": 1614265330,
    }
    file = tmp_path / "deliveries.jsonl"
    file.write_text(json.dumps(vector) + "\n")
    assert faults("webhooks", signed, tmp_path) == []
    assert look("webhooks", signed, tmp_path).count == 2
    file.write_text(json.dumps({**vector, "body": "{}"}) + "\n" + json.dumps({**vector, "valid": False}) + "\n{}\n")
    refused, accepted, damaged = faults("webhooks", signed, tmp_path)
    assert "is refused" in refused
    assert "is accepted" in accepted
    assert "cannot be read" in damaged


def test_the_order_of_choices_is_no_change(make: Make, tmp_path: Path) -> None:
    connector = make()

    @connector.read
    async def list_things(api: Api, urgency: Literal["high", "low"] | None = None) -> list[Thing]:
        """List things, oldest first."""
        return await api.get("/things", into=list[Thing], query={"urgency": urgency})

    subject = Subject(connector, tmp_path / "billing")
    file = write_down(subject)
    assert file is not None
    written = json.loads(file.read_text())
    listed = written["list_things"]["input_schema"]["properties"]["urgency"]["enum"]
    listed.reverse()
    file.write_text(json.dumps(written))
    assert faults("snapshot", connector, subject.examples) == []
    listed.append("none")
    file.write_text(json.dumps(written))
    assert len(faults("snapshot", connector, subject.examples)) == 1
