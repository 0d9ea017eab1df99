"""`clew record`: one real call, kept as an example without what is secret or personal."""

import asyncio
import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clew.core.connector import Tool
from clew.core.errors import ConfigurationError
from clew.core.registry import load
from clew.servers.cli.arguments import read_arguments
from clew.servers.cli.calling import TerminalHost, find_tool
from clew.servers.cli.output import emit, emit_json, talk
from clew.servers.cli.start import begin
from clew.servers.settings import Settings
from clew.testing.kit import Subject
from clew.testing.places import shown


def record(arguments: Namespace) -> int:
    """Call the tool, clean what went over the wire, replay it, and only then write it."""
    settings = begin(http=True, tenant=arguments.tenant)
    from clew.testing.exchanges import replay, write_example

    connector = load(arguments.connector)
    tool = find_tool(connector, arguments.tool)
    if tool.workflow or connector.base_url.startswith("mail:"):
        raise ConfigurationError(f"{tool.name} makes no request of its own over HTTP; record its steps.")
    if not re.fullmatch(r"[a-z0-9-]{0,40}", arguments.label):
        raise ConfigurationError("--label is a word of lower-case letters, digits and -.")
    given = read_arguments(tool, arguments.pairs, arguments.arguments)
    tool.signature.check(given)
    subject = Subject.of(arguments.connector)
    if arguments.into is not None:
        subject = Subject(subject.connector, Path(arguments.into) / connector.name, subject.files)
    example = asyncio.run(recorded(settings, arguments.connector, tool, given, account=arguments.account))
    wrong, result = asyncio.run(replay(subject, example))
    if wrong:
        raise ConfigurationError(f"the recording does not replay: {'; '.join(wrong)}. Nothing was written.")
    example = replace(example, result=result)  # a cursor of ours follows from what was cleaned
    file = write_example(subject, example, arguments.label)
    if arguments.json:
        emit_json({"file": str(file), **example.as_dict()})
    else:
        emit(shown(file))
        talk(f"clew: {len(example.exchanges)} exchange(s), cleaned. Read the file before you publish it.")
    return 0


async def recorded(settings: Settings, name: str, tool: Tool, given: Mapping[str, Any], *, account: str | None) -> Any:
    """One real call of a tool of the connector `name`, as a cleaned example. Raises `CallError` when it fails."""
    import httpx

    from clew.servers.runtime import Runtime
    from clew.testing.exchanges import Recorder, Session

    async with Runtime.open(settings, [name], tools=[tool.name], account=account) as runtime:
        recorder = Recorder(httpx.AsyncHTTPTransport())
        async with httpx.AsyncClient(transport=recorder, follow_redirects=False) as client:
            runtime.client = client
            result = await runtime.call(tool.name, given, host=TerminalHost(), deadline=120.0)
            connector = load(name)
            wire = await runtime.wire(connector, account)
            secrets = tuple(value for each in recorder.kept for value in _credentials(each[0]))
            hidden = frozenset(wire.secret_parameters)
            return Session(connector, tool, wire.base_url, given, recorder, result, secrets, hidden).example()


def _credentials(request: Any) -> list[str]:
    """What stands on a request as its credential, whole and without its scheme."""
    values = [str(value) for name, value in request.headers.items() if re.search(r"auth|key|token|cookie", name, re.I)]
    return [part for value in values for part in (value, value.partition(" ")[2]) if len(part) >= 8]
