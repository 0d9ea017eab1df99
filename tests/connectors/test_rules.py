"""Rules every connector in this repository keeps, read from the source."""

import ast
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "connectors").rglob("*.py"))
VERBS = {"get", "post", "put", "patch", "delete", "page", "request"}


def paths_of(tree: ast.AST) -> list[ast.expr]:
    """The first argument of every `api.get(…)` and its like."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [
        call.args[1] if call.func.attr == "request" and len(call.args) > 1 else call.args[0]
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in VERBS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "api"
        and call.args
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_paths_are_plain_templates(file: Path) -> None:
    for path in paths_of(ast.parse(file.read_text())):
        assert not isinstance(path, ast.JoinedStr | ast.BinOp), f"{file.name}:{path.lineno} builds a path from text"


def test_the_rule_sees_an_f_string() -> None:
    (path,) = paths_of(ast.parse('api.get(f"/repos/{owner}")'))
    assert isinstance(path, ast.JoinedStr)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_connectors_import_the_public_names_only(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("clew."):
            assert (node.module or "").startswith("clew.connectors"), f"{file.name}:{node.lineno} imports {node.module}"
