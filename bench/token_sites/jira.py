"""Jira Cloud: a project of ten issues. Shapes: developer.atlassian.com/cloud/jira/platform/rest/v3 (issues, search,
comments, transitions) and /rest/v2, whose texts are wiki text instead of documents."""

from typing import Any

import httpx

from bench.tokens_client import PLACE
from bench.tokens_pairs import NOTE, TOKEN, Known, Pair, Tasks
from bench.tokens_upstream import Site

from .shared import PEOPLE, SUBJECTS, Object, address, day, routed

SITE = "https://reports.atlassian.net"
STATES = (("To Do", "new"), ("In Progress", "indeterminate"), ("Done", "done"))
NOW = "2026-11-23T10:00:00.000+0000"


def _pictures(path: str) -> dict[str, str]:
    sizes = (("48x48", ""), ("24x24", "?size=small"), ("16x16", "?size=xsmall"), ("32x32", "?size=medium"))
    return {size: f"{SITE}{path}{query}" for size, query in sizes}


def person(name: str) -> Object:
    """A user."""
    identity = f"5b10ac8d82e05b22cc7d4e{len(name):02}"
    return {
        "self": f"{SITE}/rest/api/3/user?accountId={identity}",
        "accountId": identity,
        "emailAddress": address(name),
        "avatarUrls": _pictures(f"/avatar/{identity}"),
        "displayName": name,
        "active": True,
        "timeZone": "Europe/Berlin",
        "accountType": "atlassian",
    }


def state(number: int) -> Object:
    """A status."""
    name, key = STATES[number]
    category = {"self": f"{SITE}/rest/api/3/statuscategory/{number}", "id": number, "key": key}
    return {
        "self": f"{SITE}/rest/api/3/status/{10000 + number}",
        "description": "",
        "iconUrl": f"{SITE}/images/icons/statuses/generic.png",
        "name": name,
        "id": f"{10000 + number}",
        "statusCategory": {**category, "colorName": "blue-gray", "name": name},
    }


def document(text: str) -> Object:
    """A text as Atlassian's document."""
    parts = [{"type": "paragraph", "content": [{"type": "text", "text": each}]} for each in text.split("\n") if each]
    return {"version": 1, "type": "doc", "content": parts}


def issue(number: int) -> Object:
    """An issue with all its fields."""
    owner, reporter = person(PEOPLE[number % 3]), person(PEOPLE[(number + 1) % 3])
    made, changed = f"{day(number)}T09:30:00.000+0000", f"{day(number + 3)}T16:05:00.000+0000"
    identity = f"{10100 + number}"
    own = f"{SITE}/rest/api/3/issue/{identity}"
    project = {
        "self": f"{SITE}/rest/api/3/project/10000",
        "id": "10000",
        "key": "REP",
        "name": "Reports",
        "projectTypeKey": "software",
        "simplified": False,
        "avatarUrls": _pictures("/rest/api/3/universal_avatar/view/type/project/avatar/10400"),
    }
    kind = {
        "self": f"{SITE}/rest/api/3/issuetype/10004",
        "id": "10004",
        "description": "A problem or error.",
        "iconUrl": f"{SITE}/rest/api/2/universal_avatar/view/type/issuetype/avatar/10303?size=medium",
        "name": "Bug",
        "subtask": False,
        "avatarId": 10303,
        "hierarchyLevel": 0,
    }
    icon = f"{SITE}/images/icons/priorities/high.svg"
    fields: Object = {
        "statuscategorychangedate": changed,
        "issuetype": kind,
        "timespent": None,
        "project": project,
        "fixVersions": [],
        "aggregatetimespent": None,
        "resolution": None,
        "resolutiondate": None,
        "workratio": -1,
        "lastViewed": None,
        "watches": {"self": f"{own}/watchers", "watchCount": 1, "isWatching": False},
        "created": made,
        "priority": {"self": f"{SITE}/rest/api/3/priority/2", "iconUrl": icon, "name": "High", "id": "2"},
        "labels": ["export", "report"],
        "timeestimate": None,
        "aggregatetimeoriginalestimate": None,
        "versions": [],
        "issuelinks": [],
        "assignee": owner,
        "updated": changed,
        "status": state(number % 3),
        "components": [],
        "timeoriginalestimate": None,
        "description": NOTE,
        "security": None,
        "aggregatetimeestimate": None,
        "summary": SUBJECTS[number],
        "creator": reporter,
        "subtasks": [],
        "reporter": reporter,
        "aggregateprogress": {"progress": 0, "total": 0},
        "environment": None,
        "duedate": day(number + 9),
        "progress": {"progress": 0, "total": 0},
        "votes": {"self": f"{own}/votes", "votes": 0, "hasVoted": False},
    }
    return {"id": identity, "self": own, "key": f"REP-{number + 1}", "fields": fields}


def site() -> tuple[Site, Known]:
    """The project."""
    issues = {each["key"]: each for each in map(issue, range(10))}

    def told(found: Object, request: httpx.Request, wanted: str | None, version: str) -> Object:
        """With the fields that were asked for, and texts as this version of the API has them."""
        names = None if not wanted or "*all" in wanted else wanted.split(",")
        fields = {name: value for name, value in found["fields"].items() if names is None or name in names}
        if version == "3" and fields.get("description"):
            fields["description"] = document(fields["description"])
        more: Object = {"transitions": ways()} if "transitions" in request.url.params.get("expand", "") else {}
        return {"expand": "renderedFields,names,schema,transitions,operations,editmeta,changelog", **found,
                "fields": fields, **more}  # fmt: skip

    def ways() -> list[Object]:
        flags = {"hasScreen": False, "isGlobal": True, "isInitial": False, "isAvailable": True, "isConditional": False}
        return [
            {"id": f"{number + 1}1", "name": name, "to": state(number), **flags, "isLooped": False}
            for number, (name, _) in enumerate(STATES)
        ]

    def one(request: httpx.Request, _: Any, version: str, key: str) -> Object:
        return told(issues[key], request, request.url.params.get("fields"), version)

    def search(request: httpx.Request, body: Object, version: str) -> Object:
        asked = body.get("fields") or request.url.params.get("fields") or "id"
        wanted = ",".join(asked) if isinstance(asked, list) else asked
        return {"issues": [told(each, request, wanted, version) for each in issues.values()], "isLast": True}

    def make(_: Any, body: Object, version: str) -> httpx.Response:
        fields = {**issue(0)["fields"], "summary": body["fields"]["summary"], "created": NOW, "updated": NOW}
        issues["REP-11"] = {**issue(0), "id": "10111", "key": "REP-11", "fields": fields}
        known = {"id": "10111", "key": "REP-11", "self": f"{SITE}/rest/api/{version}/issue/10111"}
        return httpx.Response(201, json=known)

    def comment(_: Any, body: Object, version: str, key: str) -> httpx.Response:
        who = person(PEOPLE[0])
        text = document(NOTE) if version == "3" else NOTE
        own = f"{SITE}/rest/api/{version}/issue/10102/comment/10500"
        known = {"self": own, "id": "10500", "author": who, "body": text, "updateAuthor": who, "created": NOW}
        return httpx.Response(201, json={**known, "updated": NOW, "jsdPublic": True})

    def move(_: Any, body: Object, version: str, key: str) -> httpx.Response:
        issues[key]["fields"] |= {"status": state(int(body["transition"]["id"][0]) - 1), "updated": NOW}
        return httpx.Response(204)

    at = "/rest/api/([23])/issue/([^/]+)"
    names = [{"id": name, "key": name, "name": name, "custom": False, "schema": {"type": "string", "system": name}}
             for name in issue(0)["fields"]]  # fmt: skip
    found = routed(
        [
            ("GET", "/rest/api/([23])/search/jql", search),
            ("POST", "/rest/api/([23])/search/jql", search),
            ("POST", "/rest/api/([23])/search/approximate-count", lambda *_: {"count": 10}),
            ("GET", "/rest/api/[23]/field", lambda *_: names),
            ("GET", "/rest/api/[23]/myself", lambda *_: person(PEOPLE[0])),
            ("GET", at, one),
            ("POST", "/rest/api/([23])/issue", make),
            ("POST", f"{at}/comment", comment),
            ("GET", f"{at}/comment", lambda *_: {"startAt": 0, "maxResults": 50, "total": 0, "comments": []}),
            ("GET", f"{at}/transitions", lambda *_: {"expand": "transitions", "transitions": ways()}),
            ("POST", f"{at}/transitions", move),
        ]
    )
    return found, {}


def _tasks(known: Known) -> Tasks:
    made = {"summary": "Export loses its filter", "description": NOTE}
    key = "REP-3"
    return (
        (
            "find an issue",
            [("jira_search", {"jql": "project = REP", "limit": 25})],
            [("search_issues", {"jql": "project = REP"})],
        ),
        ("read it", [("jira_get_issue", {"issue_key": key})], [("get_issue", {"issue": key})]),
        (
            "open one",
            [("jira_create_issue", {**made, "project_key": "REP", "issue_type": "Bug"})],
            [("create_issue", {**made, "project": "REP", "issue_type": "Bug", "request_id": "one"})],
        ),
        (
            "move it on",
            [
                ("jira_get_transitions", {"issue_key": key}),
                ("jira_transition_issue", {"issue_key": key, "transition_id": "21"}),
            ],
            [
                ("list_transitions", {"issue": key}),
                ("transition_issue", {"issue": key, "transition_id": "21", "request_id": "two"}),
            ],
        ),
        (
            "comment",
            [("jira_add_comment", {"issue_key": key, "body": NOTE})],
            [("add_comment", {"issue": key, "text": NOTE, "request_id": "three"})],
        ),
    )


PAIR = Pair(
    "jira",
    "mcp-atlassian 0.23.1",
    [str(PLACE / "python/bin/mcp-atlassian")],
    {"JIRA_URL": SITE, "JIRA_USERNAME": "ada@example.com", "JIRA_API_TOKEN": TOKEN, "FASTMCP_CHECK_FOR_UPDATES": "off"},
    ["reports.atlassian.net"],
    "",
    _tasks,
    site=site,
    scopes=["read:jira-work", "write:jira-work", "read:jira-user", "offline_access"],
)
