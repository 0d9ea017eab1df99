"""Where in an author's files a thing is declared, so that a finding can say where to fix it."""

import ast
import inspect
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from clew.core.rules import Rule


def line_of(function: Callable[..., Any]) -> str:
    """`file:line` of a function, as people write it; empty when nobody knows."""
    try:
        file = inspect.getsourcefile(function)
        line = inspect.getsourcelines(function)[1]
    except (OSError, TypeError):
        return ""
    return f"{shown(Path(file))}:{line}" if file else ""


def shown(path: Path) -> str:
    """A path as people write it: without the current folder, when it lies there."""
    here = Path.cwd().resolve()
    path = path.resolve()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def line_of_rule(rule: Rule, files: Iterable[Path]) -> str:
    """`file:line` of the `Rule(…)` whose written-out facts are those of `rule`; the first file when none is."""
    listed = list(files)
    for file in listed:
        for line, facts in _rules_in(file):
            if facts and all(getattr(rule, name, None) == value for name, value in facts.items()):
                return f"{shown(file)}:{line}"
    return shown(listed[0]) if listed else ""


@lru_cache(maxsize=256)
def _rules_in(file: Path) -> tuple[tuple[int, dict[str, Any]], ...]:
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    rules = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Rule"]
    return tuple((call.lineno, _facts(call)) for call in rules)


def _facts(call: ast.Call) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for keyword in call.keywords:
        try:
            value = ast.literal_eval(keyword.value)
        except ValueError:
            continue
        if keyword.arg:
            facts[keyword.arg] = value
    return facts
