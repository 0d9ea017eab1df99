"""Recorded examples: nothing secret or personal stays, and a replay notices every difference."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from clew import Api, Bearer, Connector, CursorPages, Page, Version, once
from clew.core.errors import ConfigurationError
from clew.testing.exchanges import Example, read_examples, write_example
from clew.testing.kit import Subject, run
from clew.testing.scrub import Scrubber

TOKENS = [
    "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "xoxb-123456789012-abcdefghij",
    "AKIAIOSFODNN7EXAMPLE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "Bearer abcdefghijklmnopqrstuv",
    "-----BEGIN RSA PRIVATE KEY-----", "SG.abcdefghijklmnopqrstuvwx", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZI",
]  # fmt: skip


class Thing(BaseModel):
    id: str
    name: str


@pytest.fixture
def connector() -> Connector:
    made = Connector(
        "billing",
        base_url="https://billing.example.com/api",
        auth=Bearer(),
        pages=CursorPages(items="data"),
        version=Version("2026-07-01", header="Billing-Version"),
    )

    @made.read
    async def list_things(api: Api, owner: str, cursor: str | None = None) -> Page[Thing]:
        """List things."""
        return await api.page("/things", into=Thing, cursor=cursor, query={"owner": owner})

    @made.write(once=once.NaturalKey(field="external.id"))
    async def create_thing(api: Api, name: str) -> Thing:
        """Create a thing."""
        return await api.post("/things", json={"name": name}, into=Thing)

    return made


def exchange(
    method: str, path: str, answer: Any, query: list[list[str]] | None = None, body: Any = None
) -> dict[str, Any]:
    request = {"method": method, "path": path, "query": query or [], "body": body}
    response = {"status": 200, "headers": {"content-type": "application/json"}, "body": answer}
    return {"request": request, "response": response}


LISTED = Example(
    "list_things", "2026-07-01", {"owner": "o"},
    [exchange("GET", "/things", {"data": [{"id": "1", "name": "a"}]}, [["limit", "30"], ["owner", "o"]])],
    {"items": [{"id": "1", "name": "a"}]},
)  # fmt: skip
CREATED = Example(
    "create_thing", "2026-07-01", {"name": "a"},
    [exchange("POST", "/things", {"id": "1", "name": "a"}, body={"name": "a", "external": {"id": "ours"}})],
    {"id": "1", "name": "a"},
)  # fmt: skip


def faults(connector: Connector, folder: Path, *examples: Example) -> list[str]:
    subject = Subject(connector, folder)
    for example in examples:
        write_example(subject, example)
    return [finding.line for finding in run("examples", subject).findings]


def changed(example: Example, **facts: Any) -> Example:
    plain = json.loads(json.dumps(example.as_dict()))
    return Example(**{**plain, **facts})


def test_what_still_goes_as_it_was_recorded_is_fine(connector: Connector, tmp_path: Path) -> None:
    assert faults(connector, tmp_path, LISTED) == []
    assert [file.relative_to(tmp_path).as_posix() for file, _ in read_examples(tmp_path)] == [
        "2026-07-01/list_things.json"
    ]


def test_the_key_of_ours_in_a_body_is_not_compared(connector: Connector, tmp_path: Path) -> None:
    assert faults(connector, tmp_path, CREATED) == []


@pytest.mark.parametrize("part", ["query", "path", "body"])
def test_a_request_that_nobody_recorded_is_a_fault(connector: Connector, tmp_path: Path, part: str) -> None:
    other = changed(LISTED)
    other.exchanges[0]["request"][part] = {"query": [["owner", "p"]], "path": "/stuff", "body": {"x": 1}}[part]
    found = faults(connector, tmp_path, other)
    assert any("which was not recorded" in line for line in found)
    assert any("it does not ask for GET" in line for line in found)


def test_a_recorded_request_that_is_not_made_is_a_fault(connector: Connector, tmp_path: Path) -> None:
    longer = changed(LISTED)
    longer.exchanges.append(exchange("GET", "/more", {}))
    assert any("it does not ask for GET /more any more" in line for line in faults(connector, tmp_path, longer))


def test_another_result_is_a_fault(connector: Connector, tmp_path: Path) -> None:
    assert any(
        "its result is another: items" in line
        for line in faults(connector, tmp_path, changed(LISTED, result={"items": []}))
    )


def test_a_tool_that_is_gone_and_a_damaged_file_are_named(connector: Connector, tmp_path: Path) -> None:
    assert any("there is no tool gone" in line for line in faults(connector, tmp_path, changed(LISTED, tool="gone")))
    (tmp_path / "2026-07-01" / "bad.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"bad\.json is no recorded example"):
        run("examples", Subject(connector, tmp_path))


@pytest.mark.parametrize("token", TOKENS)
def test_what_looks_like_a_credential_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Scrubber().refuse({"a": [{"note": f"use {token} please"}]})
    assert token not in str(caught.value)
    assert "a[0].note" in str(caught.value)


def test_the_credential_that_was_used_is_refused_wherever_it_stands() -> None:
    with pytest.raises(ConfigurationError, match="the credential itself stands at headers"):
        Scrubber(("hunter22",)).refuse({"headers": {"echo": "hunter22!"}})


def test_people_are_replaced_by_the_same_others_everywhere() -> None:
    data = {
        "user": {"login": "ada-l", "email": "ada@corp.io", "id": 7, "html_url": "https://x.example/ada-l"},
        "body": "Ask ada@corp.io or call +49 151 2345678, says ada-l",
        "password": "hunter2",
        "node": "MDU6SXNzdWUxMjM0NTY3ODkwMTIzNDU2Nzg5",
        "sha": "0123456789abcdef0123456789abcdef01234567",
    }
    scrubber = Scrubber()
    scrubber.learn(data)
    clean = scrubber.clean(data)
    text = json.dumps(clean)
    for gone in ("ada", "corp.io", "49 151", "hunter2", "MDU6"):
        assert gone not in text
    assert clean["user"]["html_url"].rpartition("/")[2] == clean["user"]["login"]
    assert clean["user"]["email"] in clean["body"]
    assert clean["sha"] == data["sha"]
    assert scrubber.clean(data) == clean
