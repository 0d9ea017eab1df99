"""What a list says about each connector of ours, written down so that a list imports none of them.

`python -m clew.servers.connector_index` writes `servers/connector_index.json` anew; a test compares it.
"""

import json
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TypedDict

from clew.core.registry import discover, load_entry

FILE = Path(__file__).with_suffix(".json")
OURS = "clew.connectors."


class Listed(TypedDict):
    """A connector as a list shows it: its tools by effect, and the kind of credential to ask a person for, if any."""

    title: str
    tools: dict[str, int]
    kind: str | None


def indexed() -> Mapping[str, Listed]:
    """What is written down, by the value of the entry point."""
    found: dict[str, Listed] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def listed(found: EntryPoint) -> Listed:
    """The same of any connector, which is loaded for it. Raises what `load_entry` raises."""
    from clew.auth.authorizer import preferred_kind
    from clew.core.connector import Effect

    connector = load_entry(found)
    effects = Counter(tool.effect.value for tool in connector.tools.values())
    return {
        "title": connector.title or found.name,
        "tools": {effect.value: effects[effect.value] for effect in Effect},
        "kind": preferred_kind(connector.schemes) if connector.schemes else None,
    }


def write() -> str:
    """The index of all connectors of ours that are installed, one line for each."""
    ours = {found.value: listed(found) for found in discover().values() if found.value.startswith(OURS)}
    lines = [f"  {json.dumps(value)}: {json.dumps(ours[value])}" for value in sorted(ours)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(write(), encoding="utf-8")
