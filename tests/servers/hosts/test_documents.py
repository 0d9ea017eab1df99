"""A host's file changes in exactly one entry, or not at all, whatever people wrote into it."""

import json
import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import ConfigurationError
from clew.servers.hosts import documents, jsonc

ENTRY = {"command": "/opt/clew/bin/clew", "args": ["serve", "github"]}
SERVERS = ("mcpServers",)
JSONC = """\
// my servers
{
    /* colours */ "theme": "dark", // and why
    "mcpServers": {
        "other": {"command": "node", "args": ["a.js"], "env": {"TOKEN": "x,}"}}, // keep me
        // last
    },
    "list": [1, 2,],
}
"""
TOML = """\
# how I like it
model = "o9"   # do not touch

[mcp_servers.other]
command = "node"
args = [
  "a.js",  # one
]

[profiles.work]
approval = "never"
"""
YAML = """\
# goose
GOOSE_MODEL: "x"   # quoted on purpose
extensions:
  developer:
    bundled: true
    enabled: true   # mine

  # about memory
  memory:
    args:
    - a
    - "b: c"
    description: |
      two
      lines
tail: 1
"""


def test_a_text_with_comments_and_trailing_commas_keeps_every_line_that_is_not_ours() -> None:
    done = documents.put(JSONC, "json", SERVERS, "github", ENTRY)
    added = [line for line in done.splitlines() if line not in JSONC.splitlines()]
    assert [line for line in JSONC.splitlines() if line not in done.splitlines()] == []
    assert added[0] == '        "github": {'
    assert documents.entries(done, "json", SERVERS)["github"] == ENTRY
    assert documents.drop(done, "json", SERVERS, "github") == JSONC
    without = documents.drop(JSONC, "json", SERVERS, "other")
    assert "keep me" not in without
    assert "// last" in without


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", '{\n  "mcpServers": {\n    "a": {}\n  }\n}\n'),
        ("{}", '{\n  "mcpServers": {\n    "a": {}\n  }\n}'),
        ('{"x": 1}', '{"x": 1, "mcpServers": {"a": {}}}'),
        ('{"mcpServers":{}}', '{"mcpServers":{\n    "a": {}\n  }}'),
        ('{\n\t"x": 1\n}\n', '{\n\t"x": 1,\n\t"mcpServers": {\n\t\t"a": {}\n\t}\n}\n'),
        ('{\n  "x": 1 // why\n}', '{\n  "x": 1, // why\n  "mcpServers": {\n    "a": {}\n  }\n}'),
        ('\ufeff{\r\n  "x": 1\r\n}\r\n', '\ufeff{\r\n  "x": 1,\r\n  "mcpServers": {\r\n    "a": {}\r\n  }\r\n}\r\n'),
        ('{\n  "mcpServers": {\n    "a": {"old": [1]}\n  }\n}', '{\n  "mcpServers": {\n    "a": {}\n  }\n}'),
        ("{ /* empty */ }", '{\n  /* empty */\n  "mcpServers": {\n    "a": {}\n  }\n}'),
        ('{"é": "ü"}', '{"é": "ü", "mcpServers": {"a": {}}}'),
    ],
)
def test_it_is_written_as_the_file_is_written(text: str, expected: str) -> None:
    assert documents.put(text, "json", SERVERS, "a", {}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"mcpServers": [}',
        '{"mcpServers": {"a": 1 "b": 2}}',
        "{'mcpServers': {}}",
        '{"mcpServers": {}} trailing',
        '{"mcpServers": 3}',
        "[]",
        "null",
        '{"mcpServers": {}, "mcpServers": {"x": {}}}',
        "{ /* never closed ",
        '{"a": "' + "\n" + '"}',
        "<xml/>",
        '{"deep": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "{" * 100_000,
    ],
)
def test_a_broken_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(ConfigurationError):
        documents.put(text, "json", SERVERS, "github", ENTRY)


def test_a_large_file_takes_no_time_to_speak_of() -> None:
    big: dict[str, Any] = {"history": [{"text": "x" * 100, "n": n} for n in range(50_000)], "mcpServers": {}}
    done = documents.put(json.dumps(big, indent=2), "json", SERVERS, "github", ENTRY)
    assert json.loads(done) == {**big, "mcpServers": {"github": ENTRY}}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
_objects = st.dictionaries(st.text(max_size=5), _json, max_size=4)


@given(_objects, st.text(max_size=6), _objects, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_nothing_but_the_entry_ever_changes(
    data: dict[str, Any], name: str, entry: dict[str, Any], indent: Any, commas: bool
) -> None:
    text = json.dumps({**data, "mcpServers": {"kept": data}}, indent=indent, ensure_ascii=False)
    if commas and indent:
        text = text.replace("\n}", ",\n}")
    done = jsonc.put(text, ["mcpServers", name], entry)
    assert jsonc.loads(done) == {**data, "mcpServers": {"kept": data, name: entry}}
    gone = jsonc.drop(done, ["mcpServers", name])
    assert jsonc.loads(gone)["mcpServers"] == ({"kept": data} if name != "kept" else {})


def test_toml_keeps_comments_and_order() -> None:
    done = documents.put(TOML, "toml", ("mcp_servers",), "github", {**ENTRY, "env": {"CLEW_HOME": "/x"}})
    assert [line for line in TOML.splitlines() if line not in done.splitlines()] == []
    found = tomllib.loads(done)
    assert found["mcp_servers"]["github"]["env"] == {"CLEW_HOME": "/x"}
    gone = documents.drop(done, "toml", ("mcp_servers",), "github")
    assert tomllib.loads(gone) == tomllib.loads(TOML)
    fresh = documents.put("", "toml", ("mcp_servers",), "github", ENTRY)
    assert "[mcp_servers.github]" in fresh
    inline = 'mcp_servers = { other = { command = "x" } }\n'
    assert tomllib.loads(documents.put(inline, "toml", ("mcp_servers",), "github", ENTRY))["mcp_servers"]["github"]
    for broken in ("[mcp_servers", "mcp_servers = 3", "a = 1\na = 2", "[[mcp_servers]]\nx = 1"):
        with pytest.raises(ConfigurationError):
            documents.put(broken, "toml", ("mcp_servers",), "github", ENTRY)


def test_yaml_keeps_comments_and_order() -> None:
    done = documents.put(YAML, "yaml", ("extensions",), "github", {"cmd": "clew", "args": ["serve"]})
    assert [line for line in YAML.splitlines() if line not in done.splitlines()] == []
    assert yaml.safe_load(done)["extensions"]["github"] == {"cmd": "clew", "args": ["serve"]}
    assert documents.drop(done, "yaml", ("extensions",), "github") == YAML
    without = documents.drop(YAML, "yaml", ("extensions",), "developer")
    assert "# about memory" in without
    again = documents.put(done, "yaml", ("extensions",), "github", {"cmd": "other"})
    assert yaml.safe_load(again)["extensions"]["github"] == {"cmd": "other"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "a: 1",
        "extensions:\n",
        "extensions: {}\n",
        "extensions:   # mine\na: 1\n",
        "a: &x {b: 1}\nc: *x\nextensions:\n    one: {cmd: x}\n",
        "extensions:\r\n  one:\r\n    cmd: x\r\n",
    ],
)
def test_yaml_of_any_habit_takes_an_entry_and_gives_it_back(text: str) -> None:
    done = documents.put(text, "yaml", ("extensions",), "github", {"cmd": "clew", "args": ["serve", "x"]})
    before: dict[str, Any] = yaml.safe_load(text) or {}
    wanted: dict[str, Any] = {
        **before,
        "extensions": {**(before.get("extensions") or {}), "github": {"cmd": "clew", "args": ["serve", "x"]}},
    }
    assert yaml.safe_load(done) == wanted
    gone: dict[str, Any] = yaml.safe_load(documents.drop(done, "yaml", ("extensions",), "github"))
    assert (gone.get("extensions") or {}) == (before.get("extensions") or {})


@pytest.mark.parametrize(
    "text",
    [
        "extensions: {a: {cmd: x}}\n",
        "{a: 1}\n",
        "- a\n",
        "extensions: 3\n",
        "a: [\n",
        "a: 1\n---\nb: 2\n",
        "x: !!python/name:os.system\n",
    ],
)
def test_yaml_that_a_program_cannot_change_safely_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        documents.put(text, "yaml", ("extensions",), "github", {"cmd": "clew"})


def test_a_list_is_kept_by_name() -> None:
    text = "name: mine\nmcpServers:\n  - name: other\n    command: node\n"
    done = documents.put(text, "yaml", SERVERS, "github", {"name": "github", **ENTRY})
    assert [each["name"] for each in yaml.safe_load(done)["mcpServers"]] == ["other", "github"]
    assert documents.entries(done, "yaml", SERVERS)["github"]["args"] == ["serve", "github"]
    changed = documents.put(done, "yaml", SERVERS, "other", {"name": "other", "command": "deno"})
    assert [each.get("command") for each in yaml.safe_load(changed)["mcpServers"]] == ["deno", ENTRY["command"]]
    assert documents.drop(done, "yaml", SERVERS, "github") == text
    fresh = documents.put("name: mine\n", "yaml", SERVERS, "github", {"name": "github", **ENTRY})
    assert [each["name"] for each in yaml.safe_load(fresh)["mcpServers"]] == ["github"]
