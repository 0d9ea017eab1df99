"""The canary: a credential that a provider repeats wherever it can must show nowhere."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import httpx

from clew.core.connector import Tool
from clew.testing.kit import Finding, Seen, Subject
from clew.testing.samples import arguments_for
from clew.testing.stage import Ran, perform

_CANARY = "clewcanary7f3a9c51d2e84b60"


async def secrets_stay(subject: Subject) -> Seen:
    """Refusals that repeat every header and the address leave no trace in errors, records and logs."""
    seen = Seen()
    if subject.connector.base_url.startswith("mail:"):
        return seen
    for tool in subject.tools:
        arguments = None if tool.workflow else arguments_for(tool, subject.arguments)
        if arguments is None:
            continue
        for status in (400, 401, 403, 422, 500, 302):
            ran = await _told(subject, tool, arguments, status)
            seen.count += bool(ran.player.requests)
            for where in leaks(ran):
                what = f"{tool.name}: the credential shows in {where} after a {status} that repeats it."
                seen.findings.append(Finding(what, "Quote the provider through the error map only.", subject.at(tool)))
    return seen


async def _told(subject: Subject, tool: Tool, arguments: Mapping[str, Any], status: int) -> Ran:
    async def repeat(request: httpx.Request) -> httpx.Response:
        said = f"bad request: {request.url} {dict(request.headers)}"
        body: dict[str, Any] = {"message": said, "code": said[:80]}
        body |= {"error": {**body, "detail": _CANARY}, "errors": [{**body, "field": _CANARY}]}
        headers = {"location": str(request.url), "x-request-id": _CANARY} if status == 302 else {}
        return httpx.Response(status, json=body, headers=headers)

    return await perform(subject.connector, tool, arguments, repeat, secret=_CANARY, attempts=1)


def leaks(ran: Ran) -> list[str]:
    """Where the canary shows."""
    error = "" if ran.error is None else f"{ran.error.as_text()} {json.dumps(ran.error.as_dict(), default=str)}"
    records = json.dumps([asdict(record) for record in ran.records], default=str)
    places = {"the error": error, "the result": json.dumps(ran.result), "the audit record": records, "the log": ran.log}
    return [place for place, text in places.items() if _CANARY in text]
