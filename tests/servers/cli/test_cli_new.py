"""`clew new NAME --openapi SPEC`, and descriptions wherever a connector's name may stand."""

import json
from pathlib import Path

import pytest
from tests.servers.descriptions import OK, document
from tests.servers.descriptions.test_openapi import shop

from .conftest import Place


@pytest.fixture
def spec(place: Place) -> str:
    (place.folder / "shop.json").write_text(json.dumps(shop()))
    return "shop.json"


def test_a_module_is_written_and_said_to_be_the_authors(place: Place, spec: str) -> None:
    ran = place.run("new", "shop", "--openapi", spec, "--tools", "listTickets,DELETE /tickets/{ticket_id}", "--yes")
    assert ran.code == 0
    assert "It is yours" in ran.err
    assert "delete_ticket" in ran.out
    written = (place.folder / "shop.py").read_text()
    assert "async def get_ticket(" in written  # the preview comes along
    assert "create_ticket" not in written
    assert place.run("show", "./shop.py").code == 0


def test_nothing_is_overwritten_and_a_mistake_is_one_sentence(place: Place, spec: str) -> None:
    (place.folder / "shop.py").write_text("mine")
    assert "is there already" in place.run("new", "shop", "--openapi", spec, "--yes").err
    assert (place.folder / "shop.py").read_text() == "mine"
    for words, says in (
        (("new", "Other!", "--openapi", spec), "use lower-case letters"),
        (("new", "other", "--openapi", "nowhere.json"), "cannot be read"),
        (("new", "other", "--openapi", spec, "--tools", "nothing"), "there is no operation 'nothing'"),
        (
            ("new", "other", "--openapi", spec, "--tools", "get_tickets"),
            "there is no operation 'get_tickets'; the nearest: get_ticket",
        ),
        (("new", "other", "--openapi", spec, "--tags", "nothing"), "there are tickets"),
        (("new", "other", "--openapi", spec, "--effect", "x=often"), "--effect wants"),
        (("new", "other", "--openapi", spec, "--effect", "deleteTicket=read"), "it cannot be a read"),
        (("show", "openapi:shop.json#colour=red"), "there is no option 'colour'"),
        (("show", "soup:shop.json"), "connectors are not made of 'soup'"),
    ):
        ran = place.run(*words)
        assert ran.code == 2
        assert says in ran.err
    assert not list(place.folder.glob("other*"))


def test_an_effect_and_a_login_can_be_said_otherwise(place: Place, spec: str) -> None:
    words = ("--effect", "createTicket=read", "--auth", "api_key:X-Key", "--base-url", "https://other.test", "--json")
    ran = place.run("new", "shop", "--openapi", spec, "--yes", *words)
    assert {each["name"]: each["effect"] for each in json.loads(ran.out)["tools"]}["create_ticket"] == "read"
    written = (place.folder / "shop.py").read_text()
    assert 'auth=ApiKey(header="X-Key")' in written
    assert 'base_url="https://other.test"' in written


def test_a_long_list_wants_a_choice(place: Place) -> None:
    paths = {f"/{letter}{number}s": {"get": {"responses": OK}} for letter in "abcdef" for number in range(10)}
    Path(place.folder / "long.json").write_text(json.dumps(document(paths)))
    assert "choose with --tools or --tags" in place.run("new", "long", "--openapi", "long.json", "--yes").err


def test_a_server_with_too_many_tools_wants_a_choice(place: Place) -> None:
    paths = {f"/thing{number}": {"get": {"responses": OK}} for number in range(400)}
    Path(place.folder / "long.json").write_text(json.dumps(document(paths)))
    ran = place.run("serve", "openapi:long.json")
    assert ran.code == 2
    assert "choose with --tools, or use --discover" in ran.err
