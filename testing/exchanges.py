"""Recorded examples of a tool: what it asked a provider, what it was answered, what came of it; and their replay.

`examples/NAME/VERSION/TOOL.json`, where VERSION is the pinned API version (`unversioned` without one). A replay must
match request by request: method, path, query and body. One that nobody recorded, or that was not made, is a fault.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from clew.core.connector import Connector, Tool
from clew.core.credentials import BARE_BODY
from clew.core.errors import ConfigurationError
from clew.core.fields import as_list, as_object
from clew.core.formats import DecodeError, decode
from clew.core.once import Marker, NaturalKey, ProviderKey
from clew.testing.kit import Finding, Seen, Subject
from clew.testing.places import shown
from clew.testing.scrub import Scrubber, kept_headers
from clew.testing.stage import perform

JSONObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """One recorded call of a tool."""

    tool: str
    version: str
    arguments: JSONObject
    exchanges: list[JSONObject]
    result: JSONObject

    def as_dict(self) -> JSONObject:
        """As it stands in its file."""
        return {
            "tool": self.tool,
            "version": self.version,
            "arguments": self.arguments,
            "exchanges": self.exchanges,
            "result": self.result,
        }


def version_of(connector: Connector) -> str:
    """The name of the folder for the pinned version."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", connector.version.value) if connector.version else "unversioned"


def read_examples(folder: Path | None) -> Iterator[tuple[Path, Example]]:
    """Every recorded example of a connector. Raises `ConfigurationError` for a file that is none."""
    for file in sorted(folder.glob("*/*.json")) if folder is not None else []:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            yield file, Example(**{name: found[name] for name in Example.__slots__})
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{shown(file)} is no recorded example.") from None


def write_example(subject: Subject, example: Example, label: str = "") -> Path:
    """Write an example to its place. A label tells several of one tool apart."""
    folder = subject.home / example.version
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{example.tool}{f'-{label}' if label else ''}.json"
    file.write_text(json.dumps(example.as_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


class Recorder(httpx.AsyncBaseTransport):
    """A transport that keeps what goes through it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.kept: list[tuple[httpx.Request, int, dict[str, str], bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on, and read the answer whole."""
        answer = await self.inner.handle_async_request(request)
        content = await answer.aread()
        await answer.aclose()
        dropped = {"content-encoding", "content-length", "transfer-encoding"}
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in dropped}
        self.kept.append((request, answer.status_code, headers, content))
        return httpx.Response(answer.status_code, headers=headers, content=content)

    async def aclose(self) -> None:
        """Close what is behind it."""
        await self.inner.aclose()


@dataclass(slots=True)
class Session:
    """What was recorded of one call, before it is cleaned. `hidden` are query parameters that carry the credential."""

    connector: Connector
    tool: Tool
    base_url: str
    arguments: Mapping[str, Any]
    recorder: Recorder
    result: Mapping[str, Any]
    secrets: tuple[str, ...] = ()
    hidden: frozenset[str] = field(default_factory=frozenset[str])

    def example(self) -> Example:
        """The example, cleaned. Raises `ConfigurationError` when something looks like a credential."""
        raw = [self._exchange(*each) for each in self.recorder.kept]
        scrubber = Scrubber(self.secrets, _listed(self.tool))
        facts = {"arguments": dict(self.arguments), "exchanges": raw, "result": dict(self.result)}
        for part in facts.values():
            scrubber.learn(part)
        clean = {name: scrubber.clean(part) for name, part in facts.items()}
        scrubber.refuse(clean)
        return Example(self.tool.name, version_of(self.connector), **clean)

    def _exchange(self, request: httpx.Request, status: int, headers: dict[str, str], content: bytes) -> JSONObject:
        names = [name for each in self.connector.declared.signals for name in (each.remaining, each.reset)]
        asked = asked_of(request, self.base_url)
        asked["query"] = [pair for pair in asked["query"] if pair[0] not in self.hidden]
        return {
            "request": asked,
            "response": {
                "status": status,
                "headers": kept_headers(headers, filter(None, names)),
                "body": _data(content, headers.get("content-type", "")),
            },
        }


def _listed(tool: Tool) -> frozenset[str]:
    """The words that the schemas of a tool list as choices."""
    found: set[str] = set()
    waiting: list[Any] = [tool.signature.input_schema, tool.signature.output_schema]
    while waiting:
        each = waiting.pop()
        table = as_object(each)
        found.update(word for word in (table or {}).get("enum", []) if isinstance(word, str))
        waiting += table.values() if table is not None else as_list(each) or []
    return frozenset(found)


def asked_of(request: httpx.Request, base_url: str) -> JSONObject:
    """What a request asks for: method, path below the base address, query, body. No credential: no header, and the body
    as it was before one was written into it."""
    parts, base = urlsplit(str(request.url)), urlsplit(base_url)
    below = (
        parts.path.removeprefix(base.path.rstrip("/"))
        if parts.netloc == base.netloc
        else str(request.url).partition("?")[0]
    )
    return {
        "method": request.method,
        "path": below or "/",
        "query": [list(pair) for pair in sorted(parse_qsl(parts.query, keep_blank_values=True))],
        "body": _data(request.extensions.get(BARE_BODY, request.content), request.headers.get("content-type", "")),
    }


def _data(content: bytes, kind: str) -> Any:
    if kind.startswith("application/x-www-form-urlencoded"):
        return {"form": [list(pair) for pair in parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True)]}
    try:
        data = decode(content, kind)
    except DecodeError:
        return content.decode("utf-8", "replace")
    return data.decode("latin-1") if isinstance(data, bytes) else data


@dataclass(slots=True)
class Replay:
    """A provider that gives the recorded answers, each once, to exactly the recorded requests; others are `unknown`."""

    example: Example
    base_url: str
    ignored: str = ""
    used: set[int] = field(default_factory=set[int])
    unknown: list[str] = field(default_factory=list[str])

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """The answer; no connection for a request that is not among those left."""
        asked = plain(asked_of(request, self.base_url), self.ignored)
        for number, each in enumerate(self.example.exchanges):
            if number not in self.used and plain(each["request"], self.ignored) == asked:
                self.used.add(number)
                return _answer(each["response"])
        self.unknown.append(f"it asks for {json.dumps(asked, ensure_ascii=False)[:300]}, which was not recorded")
        raise httpx.UnsupportedProtocol("nobody recorded this request")

    @property
    def unused(self) -> list[str]:
        """The recorded requests that were not made."""
        left = [each["request"] for number, each in enumerate(self.example.exchanges) if number not in self.used]
        return [f"{each['method']} {each['path']}" for each in left]


def plain(asked: JSONObject, ignored: str = "") -> JSONObject:
    """A request without the field in which a key or mark of ours stands: it is another one each time."""
    body = as_object(asked.get("body"))
    if not ignored or body is None:
        return asked
    return {**asked, "body": _without(body, ignored.split("."))}


def _without(body: JSONObject, way: list[str]) -> JSONObject:
    """`body` without what stands at the end of `way`, and without what held nothing else."""
    name, *rest = way
    inner = as_object(body.get(name))
    left = _without(inner, rest) if rest and inner is not None else {}
    return {**body, name: left} if left else {key: value for key, value in body.items() if key != name}


def _answer(recorded: JSONObject) -> httpx.Response:
    body, headers = recorded.get("body"), dict(recorded.get("headers") or {})
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body, ensure_ascii=False)
    return httpx.Response(int(recorded["status"]), headers=headers, content=text.encode())


def ignored_field(tool: Tool) -> str:
    """Where a key or mark of ours stands in the body of a write."""
    return tool.once.field if isinstance(tool.once, ProviderKey | NaturalKey | Marker) else ""


async def replay(subject: Subject, example: Example) -> tuple[list[str], JSONObject]:
    """What is wrong with an example (nothing when the tool still does exactly this), and what the tool returns."""
    tool = subject.connector.tools.get(example.tool)
    if tool is None:
        return [f"there is no tool {example.tool} any more"], {}
    base_url = re.sub(r"\{[^}]*\}", "example", subject.connector.base_url)
    player = Replay(example, base_url, ignored_field(tool))
    ran = await perform(subject.connector, tool, example.arguments, player, attempts=4)
    wrong = list(dict.fromkeys(player.unknown))
    if ran.error is not None and not wrong:
        wrong.append(f"it ends with {ran.code}: {ran.error.message.rstrip('.')}")
    wrong += [f"it does not ask for {each} any more" for each in player.unused]
    return wrong, ran.result or {}


def _difference(before: JSONObject, after: JSONObject) -> str:
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return ", ".join(names[:5])


async def examples_replay(subject: Subject) -> Seen:
    """Every recorded example still gives its result; a tool without one is advice."""
    seen = Seen()
    recorded: set[str] = set()
    for file, example in read_examples(subject.examples):
        seen.count += 1
        recorded.add(example.tool)
        faults, result = await replay(subject, example)
        if not faults and result != example.result:
            faults = [f"its result is another: {_difference(example.result, result)}"]
        for wrong in faults:
            fix = f"Mend the tool, or record it anew: clew record {subject.named} {example.tool} …"
            seen.findings.append(Finding(f"{example.tool}: {wrong}.", fix, shown(file)))
    missing = [tool.name for tool in subject.tools if tool.name not in recorded and not tool.workflow]
    if missing and not subject.connector.base_url.startswith("mail:"):
        seen.skipped.append(f"nobody has recorded {', '.join(missing[:6])}{' …' if len(missing) > 6 else ''}")
    return seen
