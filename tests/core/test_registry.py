"""Connectors are found by name, or loaded from a file, and a mistake is one clear sentence."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from clew.core import registry
from clew.core.connector import Connector
from clew.core.errors import ConfigurationError
from clew.core.registry import discover, is_named, load

MINE = """
from clew import Api, Connector

mine = Connector("mine", "https://mine.example")


@mine.read
async def get_thing(api: Api) -> str:
    "Read it."
    return "x"
"""


@pytest.fixture(autouse=True)
def everything_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLEW_CONNECTORS", raising=False)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """What is installed, as far as the registry can see."""
    found: list[EntryPoint] = []

    def entry_points(**query: Any) -> list[EntryPoint]:
        return found

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return found


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, registry.GROUP)


def test_our_own_connectors_come_through_the_same_door_in_a_fixed_order() -> None:
    assert list(discover()) == sorted(discover())
    assert {"acme", "github"} <= set(discover())
    assert load("acme").name == "acme"


def test_an_operator_can_limit_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEW_CONNECTORS", "acme, nothing")
    assert list(discover()) == ["acme"]
    monkeypatch.setenv("CLEW_CONNECTORS", "")
    assert list(discover()) == []
    with pytest.raises(ConfigurationError, match=r"no connector 'acme'\. There are: none\."):
        load("acme")


def test_a_typo_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match=r"no connector 'gihtub'\. Did you mean 'github'\?"):
        load("gihtub")
    with pytest.raises(ConfigurationError, match=r"There are: .*acme"):
        load("zzz")


def test_two_packages_that_claim_one_name_are_refused(installed: list[EntryPoint]) -> None:
    installed += [entry("acme", "a:one"), entry("acme", "a:one")]
    assert list(discover()) == ["acme"]
    installed.append(entry("acme", "b:two"))
    with pytest.raises(ConfigurationError, match="a:one and b:two"):
        discover()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("no_such_module_here:acme", "cannot be loaded"),
        ("json:dumps", "json:dumps is not a Connector"),
    ],
)
def test_an_entry_that_leads_to_no_connector_is_named(installed: list[EntryPoint], value: str, says: str) -> None:
    installed.append(entry("odd", value))
    with pytest.raises(ConfigurationError, match=says):
        load("odd")


def test_a_file_is_a_connector_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    connector = load(str(file))
    assert isinstance(connector, Connector)
    assert connector.tools["get_thing"].signature.output_schema["required"] == ["result"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must define exactly one Connector, it has 0"),
        (MINE + "\nother = Connector('other', 'https://x.example')", "it has 2"),
        ("import no_such_module_here", "cannot be loaded: ModuleNotFoundError"),
        ("def (", "cannot be loaded: SyntaxError"),
        ("undefined", "cannot be loaded: NameError"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("raise RuntimeError('boom')", "cannot be loaded: RuntimeError: boom"),
        (MINE.replace('"Read it."', "''"), "tool get_thing needs a docstring"),
    ],
)
def test_a_file_with_a_mistake_is_named_with_it_and_leaves_nothing_behind(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        load(str(file))
    assert "clew_file_broken" not in sys.modules


def test_a_missing_file_and_a_folder_are_no_connectors(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no file"):
        load(str(tmp_path / "absent.py"))
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ConfigurationError, match="there is no file"):
        load(str(tmp_path / "folder.py"))


def made(where: str) -> Connector:
    """A source as third parties bring one."""
    if where == "broken":
        raise ValueError("no such thing")
    return Connector(where, "https://made.example")


def test_a_connector_can_be_made_of_a_description(installed: list[EntryPoint], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clew_test_source", sys.modules[__name__])
    installed.append(EntryPoint("wish", "clew_test_source:made", registry.SOURCES))
    installed.append(EntryPoint("gone", "clew_test_source:nothing", registry.SOURCES))
    assert load("wish:thing").name == "thing"
    assert not is_named("wish:thing")
    assert not is_named("./mine.py")
    assert is_named("github")
    with pytest.raises(ConfigurationError, match="they are made of gone:, wish:"):
        load("hope:thing")
    with pytest.raises(ConfigurationError, match="what makes connectors of gone cannot be loaded"):
        load("gone:thing")
