"""What an author declares, and the mistakes that are found when the module is loaded."""

from collections.abc import Callable
from typing import Any

import pytest

from clew.core.api import Api
from clew.core.connector import Connector, Effect
from clew.core.errors import ConfigurationError
from clew.core.webhooks import Hmac, Scheme


class Token:
    kind = "token"


def acme(name: str = "acme", base_url: str = "https://api.acme.example", **facts: Any) -> Connector:
    return Connector(name, base_url, **facts)


async def get_note(api: Api, note_id: int) -> str:
    """Read
    one   note."""
    return "x"


async def delete_note(api: Api, note_id: int) -> None:
    """Delete a note."""


def test_the_three_doors_fix_the_effect_and_return_the_function() -> None:
    connector = acme()
    assert connector.read(get_note) is get_note

    @connector.write(toolset="notes")
    async def add_note(api: Api) -> None:
        """Add."""

    @connector.read(toolset="notes")
    async def list_notes(api: Api) -> list[str]:
        """List."""
        return []

    @connector.write
    async def touch_note(api: Api) -> None:
        """Touch."""

    assert connector.destructive(preview=get_note, toolset="danger")(delete_note) is delete_note
    assert {name: (tool.effect, tool.toolset) for name, tool in connector.tools.items()} == {
        "get_note": (Effect.READ, ""),
        "add_note": (Effect.WRITE, "notes"),
        "list_notes": (Effect.READ, "notes"),
        "touch_note": (Effect.WRITE, ""),
        "delete_note": (Effect.DESTRUCTIVE, "danger"),
    }
    assert connector.tools["delete_note"].preview is get_note
    assert connector.tools["add_note"].preview is None
    assert repr(connector) == "Connector('acme', 5 tools)"


def test_a_tool_describes_itself_by_its_docstring_on_one_line() -> None:
    connector = acme()
    connector.read(get_note)
    tool = connector.tools["get_note"]
    assert tool.description == "Read one note."
    assert list(tool.signature.parameters) == ["note_id"]
    assert tool.signature is tool.signature


@pytest.mark.parametrize("name", ["", "Acme", "1acme", "ac-me", "ac me", "a" * 41, "acme\n", "\u0430cme"])
def test_a_connector_has_a_plain_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="connector name"):
        acme(name)


@pytest.mark.parametrize("url", ["", "acme.example", "ftp://acme.example", "https://", "https:///x", "file:///etc"])
def test_a_connector_has_an_http_address(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url must be an http"):
        acme(base_url=url)


def test_ways_to_authenticate_are_none_one_or_several() -> None:
    one: Any = Token()
    other: Any = Token()
    assert acme().schemes == ()
    assert list(acme(auth=one).schemes) == [one]
    assert list(acme(auth=[one, other]).schemes) == [one, other]


def test_two_tools_of_one_name_are_refused() -> None:
    connector = acme()
    connector.read(get_note)
    with pytest.raises(ConfigurationError, match="two tools called get_note"):
        connector.write(get_note)


async def GetNote(api: Api) -> None:
    """Named like a class."""


async def undocumented(api: Api) -> None: ...


async def blank(api: Api) -> None:
    """ """


@pytest.mark.parametrize(
    ("function", "says"),
    [(GetNote, "verb_noun in lower case"), (undocumented, "needs a docstring"), (blank, "needs a docstring")],
)
def test_a_tool_needs_a_name_and_a_description(function: Callable[[Api], Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        acme().read(function)


def test_a_preview_is_one_of_the_connectors_own_read_tools() -> None:
    connector, other = acme(), acme("other")
    other.read(get_note)
    with pytest.raises(ConfigurationError, match="one of its read tools"):
        connector.destructive(preview=get_note)
    connector.write(get_note)
    with pytest.raises(ConfigurationError, match="one of its read tools"):
        connector.destructive(preview=get_note)
    unnamed: Any = object()
    with pytest.raises(ConfigurationError, match="one of its read tools"):
        other.destructive(preview=unnamed)


def test_a_preview_takes_the_same_parameters() -> None:
    connector = acme()
    connector.read(get_note)
    declare: Any = connector.destructive(preview=get_note)

    async def delete_all(api: Api, notebook: str) -> None:
        """Delete all notes of a notebook."""

    with pytest.raises(ConfigurationError, match="delete_all: its preview must take the same parameters"):
        declare(delete_all)
    assert "delete_all" not in connector.tools


def test_the_identity_call_is_no_tool() -> None:
    connector = acme()

    @connector.identity
    async def whoami(api: Api) -> str:
        return "ada"

    assert connector.identify is whoami
    assert connector.tools == {}


def test_a_connector_may_have_one_webhook_scheme_many_or_none() -> None:
    plain = Scheme(name="plain", proof=Hmac(signature="X-Sig"))
    other = Scheme(name="other", proof=Hmac(signature="X-Other"))
    assert acme().webhook_schemes == ()
    assert acme(webhooks=plain).webhook_schemes == (plain,)
    assert acme(webhooks=[plain, other]).webhook_schemes == (plain, other)
