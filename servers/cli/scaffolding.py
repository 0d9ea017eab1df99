"""`clew new NAME`: a package of its own for one connector, which passes its own checks from the first minute."""

import json
import re
import string
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clew import __version__
from clew.core.errors import ConfigurationError
from clew.core.values import dataclass
from clew.servers.cli.output import emit_json, is_terminal, talk
from clew.servers.cli.start import begin

_TEMPLATES = Path(__file__).parents[1] / "scaffold"
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "AGENTS.md": "AGENTS.md",
    ".github/workflows/check.yml": "check.yml",
    "src/clew_$name/__init__.py": "connector.py",
    "tests/test_connector.py": "test_connector.py",
}
_PAGES = {
    "cursor": ("CursorPages", 'CursorPages(items="data", cursor="next_cursor", parameter="cursor")'),
    "link": ("LinkPages", "LinkPages()"),
    "number": ("NumberPages", 'NumberPages(items="data")'),
    "next_url": ("NextUrlPages", 'NextUrlPages(items="data", next_url="next")'),
}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the author said, or left as it was."""

    title: str
    base_url: str
    auth: str
    pages: str
    resource: str


def scaffold(arguments: Namespace) -> int:
    """Ask, write the package, look at it, and say what comes next."""
    begin(http=True)
    name = str(arguments.name)
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        raise ConfigurationError(f"connector name {name!r}: use lower-case letters, digits and _, at most 40.")
    folder = Path(arguments.output or f"clew-{name.replace('_', '-')}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is there already. Name another place with --output.")
    given = _answers(name, arguments)
    files = write_package(name, given, folder)
    module = folder / "src" / f"clew_{name}" / "__init__.py"
    passed = _look_at(module)
    if arguments.json:
        emit_json({"folder": str(folder), "files": files, "module": str(module), "fit": passed})
        return 0 if passed else 1
    talk(f"Wrote {folder}: {len(files)} files, and clew check says it is {'fit' if passed else 'not fit yet'}.")
    talk(f"Next: edit {module}, then: clew check {module}")
    talk(f"To serve it by its name: pip install -e {folder}")
    return 0 if passed else 1


def _answers(name: str, arguments: Namespace) -> Answers:
    ask = not arguments.yes and is_terminal(sys.stdin)
    given = Answers(
        _asked("What do people call the provider?", name.replace("_", " ").capitalize(), ask),
        arguments.base_url or _asked("Where is its API?", f"https://api.{name.replace('_', '-')}.example", ask),
        arguments.auth or _asked("How does it authenticate (bearer, basic, api_key:HEADER, none)?", "bearer", ask),
        arguments.pages or _asked(f"How does it page ({', '.join(_PAGES)})?", "cursor", ask),
        arguments.resource or _asked("What is the first thing agents want to see (singular)?", "item", ask),
    )
    if not re.match(r"https?://[^/?#\s\"]+[^\s\"]*$", given.base_url):
        raise ConfigurationError(f"the address must be an http(s) URL, not {given.base_url[:60]!r}.")
    if given.pages not in _PAGES:
        raise ConfigurationError(f"--pages is one of {', '.join(_PAGES)}.")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,20}", given.resource):
        raise ConfigurationError("the thing is one word of lower-case letters, such as invoice.")
    if re.search(r'["\\$\n]', given.title):
        raise ConfigurationError('the title must not hold ", \\ or $.')
    return given


def _asked(question: str, default: str, ask: bool) -> str:
    if not ask:
        return default
    print(f"{question} [{default}] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or default


def write_package(name: str, given: Answers, folder: Path) -> list[str]:
    """Write every file of the package below `folder`; their names."""
    scheme, call = _scheme(given.auth, name)
    plural = f"{given.resource[:-1]}ies" if re.search(r"[^aeiou]y$", given.resource) else f"{given.resource}s"
    words = {
        "name": name, "dashed": name.replace("_", "-"), "title": given.title, "base_url": given.base_url.rstrip("/"),
        "auth": call, "imports": scheme, "pages_class": _PAGES[given.pages][0], "pages": _PAGES[given.pages][1],
        "resource": given.resource, "plural": plural, "words": given.resource.replace("_", " "),
        "plural_words": plural.replace("_", " "), "model": given.resource.title().replace("_", ""),
        "version": __version__,
    }  # fmt: skip
    texts = {place: (_TEMPLATES / f"{source}.tmpl").read_text(encoding="utf-8") for place, source in _FILES.items()}
    made = {_filled(place, words): _filled(text, words) for place, text in texts.items()}
    module = f"src/clew_{name}/__init__.py"
    made[module] = _sorted_imports(made[module])
    made |= {f"src/clew_{name}/py.typed": "", ".gitignore": "__pycache__/\n*.egg-info/\n.venv/\n.mypy_cache/\ndist/\n"}
    made |= _examples(f"src/clew_{name}/examples/{name}", words, given.pages)
    for place, text in made.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
    return sorted(made)


def _filled(text: str, words: Mapping[str, str]) -> str:
    return string.Template(text).substitute(words)


def _sorted_imports(text: str) -> str:
    """The line `from clew import …` without what nobody named, in order."""
    found = re.search(r"^from clew import (.*)$", text, re.MULTILINE)
    names = sorted({each.strip() for each in found[1].split(",")} - {""}, key=_import_order) if found else []
    return text.replace(found[0], f"from clew import {', '.join(names)}") if found else text


def _import_order(name: str) -> tuple[bool, str]:
    return name.islower(), name


def _scheme(auth: str, name: str) -> tuple[str, str]:
    """The name to import and the declaration."""
    kind, _, header = auth.partition(":")
    where = f'help="{name}, Settings, API tokens"'
    if kind == "api_key":
        if not re.fullmatch(r"[A-Za-z0-9-]{1,60}", header):
            raise ConfigurationError("name the header of the key: --auth api_key:X-Api-Key.")
        return "ApiKey", f'ApiKey(header="{header}", {where})'
    known = {"bearer": ("Bearer", f"Bearer({where})"), "basic": ("Basic", f"Basic({where})"), "none": ("", "None")}
    if kind not in known:
        raise ConfigurationError("--auth is bearer, basic, api_key:HEADER or none.")
    return known[kind]


def _examples(place: str, words: Mapping[str, str], pages: str) -> dict[str, str]:
    """A recorded answer for the rule, and an example of each read; to be replaced by `clew record`."""
    thing = {"id": "1", "name": "first"}
    answer = {
        "connector": words["name"], "request": {"method": "POST", "url": f"{words['base_url']}/{words['plural']}"},
        "status": 409, "headers": [["content-type", "application/json"]],
        "body": {"error": {"code": "conflict", "message": "It has changed."}},
        "expect": {"code": "conflict", "outcome": "not_applied"}, "source": "write here where this was documented",
    }  # fmt: skip
    resource, plural = words["resource"], words["plural"]
    got = _example(f"get_{resource}", {f"{resource}_id": "1"}, f"/{plural}/1", thing, thing)
    return {
        f"{place}/answers.jsonl": json.dumps(answer) + "\n",
        f"{place}/unversioned/get_{resource}.json": json.dumps(got, indent=1) + "\n",
    }


def _example(tool: str, arguments: dict[str, Any], path: str, body: Any, result: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"method": "GET", "path": path, "query": [], "body": None}
    response = {"status": 200, "headers": {"content-type": "application/json"}, "body": body}
    exchanges = [{"request": request, "response": response}]
    return {"tool": tool, "version": "unversioned", "arguments": arguments, "exchanges": exchanges, "result": result}


def _look_at(module: Path) -> bool:
    """Write down what the tools look like, and examine the new connector."""
    from clew.testing.kit import Subject, check
    from clew.testing.snapshot import write_down

    write_down(Subject.of(str(module)))
    return check(Subject.of(str(module))).passed
