"""Change one value in a YAML text that people also edit. Lines that are not ours are not touched.

The parser of PyYAML says where things stand; the text itself is edited, so that comments, order and quotes stay.
"""

from collections.abc import Sequence
from typing import Any

import yaml

from clew.servers.hosts.jsonc import UnreadableError

Collection = yaml.MappingNode | yaml.SequenceNode


def loads(text: str) -> Any:
    """The data; an empty text is an empty mapping. Raises `UnreadableError`."""
    try:
        found: Any = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        raise UnreadableError(
            str(getattr(error, "problem", None) or "no YAML"), text, mark.index if mark else 0
        ) from None
    return {} if found is None else found


def put(text: str, path: Sequence[str], value: Any) -> str:
    """`text` with `path` set; an entry of a list is found by its `name`. Raises `UnreadableError`."""
    section, name = path
    line = _line_end(text)
    root = _root(text)
    found = _member(root, section)
    if found is None:
        head = text if not text or text.endswith("\n") else text + line
        as_list = isinstance(value, dict) and "name" in value and section == "mcpServers"
        return f"{head}{section}:{line}{_entry(name, value, '  ', line, as_list=as_list)}"
    key, holder = found
    if not isinstance(holder, yaml.MappingNode | yaml.SequenceNode) or not holder.value:
        if isinstance(holder, yaml.ScalarNode) and holder.value not in ("", "~", "null"):
            raise UnreadableError(f"{section!r} holds a single value", text, holder.start_mark.index)
        as_list = isinstance(holder, yaml.SequenceNode) or section == "mcpServers"
        start, end = key.end_mark.index, holder.end_mark.index
        after = text.find("\n", max(start, end))
        after = len(text) if after < 0 else after + 1
        rest = text[max(start, end) : after].strip()
        note = f"  {rest}" if rest.startswith("#") else ""
        return f"{text[:start]}:{note}{line}{_entry(name, value, '  ', line, as_list=as_list)}{text[after:]}"
    if holder.flow_style:
        raise UnreadableError(
            f"{section!r} is written on one line, in braces or brackets", text, holder.start_mark.index
        )
    as_list = isinstance(holder, yaml.SequenceNode)
    indent = " " * holder.start_mark.column
    entry = _entry(name, value, indent, line, as_list=as_list)
    span = _span(text, holder, name)
    if span is None:
        end = _end(text, holder)
        head = text[:end] if text[:end].endswith("\n") else text[:end] + line
        return f"{head}{entry}{text[end:]}"
    return f"{text[: span[0]]}{entry}{text[span[1] :]}"


def drop(text: str, path: Sequence[str]) -> str:
    """`text` without what stands at `path`. Raises `UnreadableError`."""
    section, name = path
    found = _member(_root(text), section)
    if found is None or not isinstance(found[1], yaml.MappingNode | yaml.SequenceNode):
        return text
    key, holder = found
    span = _span(text, holder, name)
    if span is None:
        return text
    if holder.flow_style:
        raise UnreadableError(
            f"{section!r} is written on one line, in braces or brackets", text, holder.start_mark.index
        )
    if len(holder.value) == 1:
        empty = "[]" if isinstance(holder, yaml.SequenceNode) else "{}"
        at = key.end_mark.index + 1
        return f"{text[:at]} {empty}{text[at : span[0]]}{text[span[1] :]}"
    return f"{text[: span[0]]}{text[span[1] :]}"


def _root(text: str) -> yaml.MappingNode | None:
    loads(text)
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise UnreadableError("a mapping was expected", text, 0)
    if root is not None and root.flow_style and root.value:
        raise UnreadableError("the file is written in braces, not in lines", text, 0)
    return root


def _member(root: Any, key: str) -> tuple[Any, Any] | None:
    pairs: list[tuple[Any, Any]] = root.value if isinstance(root, yaml.MappingNode) else []
    found = [pair for pair in pairs if pair[0].value == key]
    return found[-1] if found else None


def _span(text: str, holder: Collection, name: str) -> tuple[int, int] | None:
    """From the start of an entry's first line to the start of the line after its last."""
    for first, value in _entries_of(holder):
        own = first if first is not value else (_member(value, "name") or (None, None))[1]
        if own is not None and own.value == name:
            return text.rfind("\n", 0, first.start_mark.index) + 1, _end(text, value)
    return None


def _entries_of(holder: Collection) -> list[tuple[Any, Any]]:
    """The node where each entry begins, and the one that holds it."""
    values: list[Any] = holder.value
    return values if isinstance(holder, yaml.MappingNode) else [(each, each) for each in values]


def _end(text: str, node: yaml.Node) -> int:
    """The start of the line after the last one of a node; comments that follow it are not its own."""
    last: Any = node
    while isinstance(last, yaml.MappingNode | yaml.SequenceNode) and last.value and not last.flow_style:
        last = last.value[-1][1] if isinstance(last, yaml.MappingNode) else last.value[-1]
    at = last.end_mark.index
    if at and text[at - 1 : at] == "\n" and at > last.start_mark.index:
        return int(at)
    after = text.find("\n", at)
    return len(text) if after < 0 else after + 1


def _entry(name: str, value: Any, indent: str, line: str, *, as_list: bool) -> str:
    data = [value] if as_list else {name: value}
    dumped: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=4096, default_flow_style=False)
    return "".join(f"{indent}{each}{line}" for each in dumped.splitlines())


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
