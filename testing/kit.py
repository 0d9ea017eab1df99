"""The conformance kit: what is looked at, what was found, and the scorecard of it all.

A check is a function of a `Subject` that returns what it has `Seen`. Findings are faults, or advice that does not fail.
Each says what is wrong, what to do, and in which line of the author's file.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from clew.core.connector import Connector, Tool
from clew.core.errors import ConfigurationError
from clew.core.registry import discover, load
from clew.core.values import dataclass
from clew.testing.places import line_of

EXAMPLES = "examples"
"""The folder beside a connector's module that holds what was recorded, one folder for each connector."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to fix: what is wrong, how to put it right, and where (`file:line`). Advice does not fail a check."""

    what: str
    fix: str = ""
    where: str = ""
    advice: bool = False

    @property
    def line(self) -> str:
        """The whole finding on one line."""
        return f"{f'{self.where}: ' if self.where else ''}{self.what}{f' {self.fix}' if self.fix else ''}"

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {"what": self.what, "fix": self.fix, "where": self.where, "advice": self.advice}


@dataclass(slots=True)
class Seen:
    """What one check has looked at: how many things, what there is to fix, and what it could not look at."""

    count: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])
    skipped: list[str] = field(default_factory=list[str])
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Is there no fault?"""
        return all(finding.advice for finding in self.findings)


@dataclass
class Subject:
    """One connector under examination, and the folder of its recorded examples, if it has one; `named` is what commands
    call it: its name, or its file."""

    connector: Connector
    examples: Path | None = None
    files: tuple[Path, ...] = ()
    named: str = ""

    def __post_init__(self) -> None:
        self.named = self.named or self.connector.name

    @classmethod
    def of(cls, connector: str | Connector, *, examples: str | Path | None = None) -> "Subject":
        """The connector of a name or a file, and what lies beside it. Raises `ConfigurationError`."""
        if isinstance(connector, Connector):
            found, module = connector, _module_of(connector)
        elif connector.endswith(".py"):
            found, module = load(connector), None
        else:
            found, installed = load(connector), discover().get(connector)
            module = installed.module if installed else None  # a source (`sql:shop.toml`) has no file of its own
        files = _files(module) if module else ()
        if isinstance(connector, str) and connector.endswith(".py"):
            files = (Path(connector).resolve(),)
        folder = Path(examples) / found.name if examples is not None else None
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(f"there are no examples of {found.name} at {folder}.")
        named = connector if isinstance(connector, str) else found.name
        return cls(found, folder or _beside(files, module, found.name), files, named)

    @property
    def is_bare(self) -> bool:
        """Made of a description (`sql:shop.toml`), with nothing written down beside it?"""
        return not self.files and self.examples is None

    @property
    def home(self) -> Path:
        """Where its examples belong, whether there are some or not."""
        if self.examples is not None:
            return self.examples
        if not self.files:
            raise ConfigurationError(f"nobody knows which file {self.connector.name} is in; name its examples folder.")
        return self.files[0].parent / EXAMPLES / self.connector.name

    @property
    def tools(self) -> Sequence[Tool]:
        """Its tools, in the order of its source."""
        return tuple(self.connector.tools.values())

    @cached_property
    def arguments(self) -> Mapping[str, Mapping[str, Any]]:
        """The author's own sample arguments by tool: `arguments.json` beside the examples."""
        from clew.testing.samples import read_arguments

        return read_arguments(self.examples)

    def at(self, tool: Tool) -> str:
        """The line of a tool."""
        return line_of(tool.function)


def _module_of(connector: Connector) -> str | None:
    for tool in connector.tools.values():
        module = inspect.getmodule(tool.function)
        if module is not None and module.__file__ is not None:
            return module.__name__
    return None


def _files(module: str) -> tuple[Path, ...]:
    """The files of a module, or of a package with everything in it; the first is its own."""
    import_module(module)
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ()
    first = Path(spec.origin).resolve()
    rest = sorted(first.parent.glob("*.py")) if first.name == "__init__.py" else []
    return (first, *(path for path in rest if path != first))


def _beside(files: Sequence[Path], module: str | None, name: str) -> Path | None:
    """The folder of examples: beside the module's file, or beside the package that it is a part of."""
    if not files:
        return None
    places = [files[0].parent / EXAMPLES / name]
    if module is not None and "." in module:
        places.append(files[0].parent.parent / EXAMPLES / name)
    return next((place for place in places if place.is_dir()), None)


Check = Callable[[Subject], Awaitable[Seen]]

CHECKS: Mapping[str, tuple[str, str]] = {
    "schemas": ("clew.testing.schemas:portable_schemas", "every host understands the schemas"),
    "names": ("clew.testing.naming:names_and_texts", "names and texts say what they should, shortly"),
    "tokens": ("clew.testing.naming:token_budget", "each tool is cheap to have in a context"),
    "snapshot": ("clew.testing.snapshot:same_as_written_down", "the tools look as they were written down"),
    "effects": ("clew.testing.effects:effects_fit_verbs", "what a tool is called is what it does"),
    "writes": ("clew.testing.effects:writes_are_declared", "each write says what helps against doing it twice"),
    "scopes": ("clew.testing.effects:scopes_are_declared", "the rights that tools need are known"),
    "errors": ("clew.testing.answers:rules_are_exercised", "each error rule has a recorded answer, judged as expected"),
    "examples": ("clew.testing.exchanges:examples_replay", "recorded calls still go as they were recorded"),
    "webhooks": ("clew.testing.deliveries:deliveries_verify", "signatures hold, and fail when a byte changes"),
    "paging": ("clew.testing.paging:paging_ends", "paging goes on, ends, and does not run in circles"),
    "chaos": ("clew.testing.chaos:faults_are_told_apart", "faults end in the right code and outcome"),
    "secrets": ("clew.testing.canary:secrets_stay", "no credential shows, whatever the provider repeats"),
}
"""The checks by name: where each is, and what it proves."""


def run(name: str, subject: Subject) -> Seen:
    """Run one check. Raises `ConfigurationError` for a name that is none."""
    if name not in CHECKS:
        raise ConfigurationError(f"there is no check {name!r}. There are: {', '.join(CHECKS)}.")
    module, _, function = CHECKS[name][0].partition(":")
    began = time.monotonic()
    seen: Seen = asyncio.run(getattr(import_module(module), function)(subject))
    seen.seconds = time.monotonic() - began
    return seen


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What all checks of one connector have seen."""

    connector: str
    seen: Mapping[str, Seen]

    @property
    def passed(self) -> bool:
        """Did every check pass?"""
        return all(each.passed for each in self.seen.values())

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "connector": self.connector,
            "passed": self.passed,
            "checks": [
                {
                    "name": name,
                    "proves": CHECKS[name][1],
                    "passed": seen.passed,
                    "looked_at": seen.count,
                    "seconds": round(seen.seconds, 3),
                    "findings": [finding.as_dict() for finding in seen.findings],
                    "skipped": seen.skipped,
                }
                for name, seen in self.seen.items()
            ],
        }


def check(
    connector: str | Connector | Subject, *, examples: str | Path | None = None, only: Iterable[str] = ()
) -> Scorecard:
    """Examine a connector: all checks, or those named. Raises `ConfigurationError` when it cannot be loaded."""
    subject = connector if isinstance(connector, Subject) else Subject.of(connector, examples=examples)
    return Scorecard(subject.connector.name, {name: run(name, subject) for name in tuple(only) or CHECKS})
