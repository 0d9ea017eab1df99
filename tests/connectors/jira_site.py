"""A Jira site, mocked: where it is, what it answers, and how its tools are called."""

import json
from typing import Any

import httpx

SITE = "https://api.atlassian.com/ex/jira/11223344-a1b2-4b33-8444-def123456789"
ISSUE = "/rest/api/3/issue/ABC-1"
ADA = {"accountId": "5b10ac8d82e05b22cc7d4ef5", "displayName": "Ada Lovelace", "emailAddress": "ada@example.com"}


def doc(*words: str) -> dict[str, Any]:
    content = [{"type": "paragraph", "content": [{"type": "text", "text": each}]} for each in words]
    return {"version": 1, "type": "doc", "content": content}


def issue(key: str = "ABC-1", **fields: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "summary": "Login fails",
        "status": {"name": "To Do", "statusCategory": {"key": "new"}},
        "issuetype": {"name": "Bug", "iconUrl": "https://x.example/bug"},
        "assignee": ADA,
        "priority": {"name": "High"},
        "updated": "2026-01-02T10:00:00.000+0000",
    }
    return {"id": "10001", "key": key, "self": f"{SITE}/rest/api/3/issue/10001", "fields": {**known, **fields}}


def requests(route: Any) -> list[httpx.Request]:
    return [call.request for call in route.calls]


def sent(route: Any) -> Any:
    """The body of the last request."""
    return json.loads(requests(route)[-1].content)


def asked(route: Any) -> dict[str, str]:
    """The query of the last request."""
    return dict(requests(route)[-1].url.params)


def said(*sentences: str, **fields: str) -> dict[str, Any]:
    return {"errorMessages": list(sentences), "errors": fields}
