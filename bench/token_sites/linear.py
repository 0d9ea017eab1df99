"""Linear: a team with ten issues. Fields: the types Issue, Comment, User, Team, WorkflowState and IssueLabel of
@linear/sdk 98.0.0. A query is answered with what it selects; what an issue has not is null.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from bench.tokens_client import node
from bench.tokens_pairs import NOTE, TOKEN, Known, Pair, Tasks
from bench.tokens_upstream import Site

from .graph import answering
from .shared import PEOPLE, SUBJECTS, Object, address, day

SPACE = "https://linear.app/acme-reports"
STATES = (("Todo", "unstarted", "#e2e2e2"), ("In Progress", "started", "#f2c94c"), ("Done", "completed", "#5e6ad2"))
NOW = "2026-11-23T10:00:00.000Z"
END = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}


def known_as(name: str) -> str:
    """An id, the same for the same name, of version 4 as Linear wants them."""
    return str(uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_URL, f"{SPACE}/{name}").bytes, version=4))


def _times(number: int) -> Object:
    made, changed = f"{day(number)}T09:30:00.000Z", f"{day(number + 3)}T16:05:00.000Z"
    return {"createdAt": made, "updatedAt": changed, "archivedAt": None}


def listed(nodes: list[Object]) -> Object:
    """A connection."""
    return {"nodes": nodes, "pageInfo": END, "totalCount": len(nodes)}


def user(name: str) -> Object:
    """A person."""
    first = name.partition(" ")[0]
    return {
        "__typename": "User",
        "id": known_as(name),
        "name": name,
        "displayName": first.lower(),
        "email": address(name),
        "initials": "".join(each[0] for each in name.split()),
        "avatarBackgroundColor": "#f2994a",
        "url": f"{SPACE}/profiles/{first.lower()}",
        "active": True,
        "admin": False,
        "guest": False,
        "owner": False,
        "isMe": first == "Ada",
        "timezone": "Europe/Berlin",
        "createdIssueCount": 41,
        "organization": {"id": known_as("space"), "urlKey": "acme-reports", "name": "Acme Reports"},
        **_times(0),
    }


TEAM: Object = {"__typename": "Team", "id": known_as("team"), "key": "REP", "name": "Reports", **_times(0)}


def state(number: int) -> Object:
    """A state of the team's workflow."""
    name, kind, colour = STATES[number]
    known = {"id": known_as(f"state {name}"), "name": name, "type": kind, "color": colour, "position": number}
    return {"__typename": "WorkflowState", **known, "description": None, "team": TEAM, **_times(0)}


def label(name: str) -> Object:
    """A label."""
    known = {"id": known_as(f"label {name}"), "name": name, "color": "#26b5ce", "isGroup": False}
    return {"__typename": "IssueLabel", **known, "description": None, "team": TEAM, **_times(0)}


def comment(number: int, body: str) -> Object:
    """A comment."""
    url = f"{SPACE}/issue/REP-3/totals-differ-between-screen-and-file#comment-{known_as(f'comment {number}')[:8]}"
    known = {"id": known_as(f"comment {number}"), "body": body, "url": url, "user": user(PEOPLE[number % 3])}
    more = {"reactionData": [], "reactions": [], "parent": None, "parentId": None, "editedAt": None, "resolvedAt": None}
    return {"__typename": "Comment", **known, **more, "issueId": known_as("issue 2"), **_times(number)}


def issue(number: int) -> Object:
    """An issue with its fields."""
    title, identifier = SUBJECTS[number], f"REP-{number + 1}"
    slug = title.lower().replace(" ", "-")
    return {
        "__typename": "Issue",
        "id": known_as(f"issue {number}"),
        "identifier": identifier,
        "number": number + 1,
        "title": title,
        "description": NOTE,
        "priority": 2,
        "priorityLabel": "High",
        "prioritySortOrder": -41.5,
        "estimate": 3,
        "sortOrder": -1041.27,
        "dueDate": day(number + 9),
        "startedAt": f"{day(number + 1)}T08:00:00.000Z",
        "branchName": f"ada/{identifier.lower()}-{slug}",
        "customerTicketCount": 0,
        "labelIds": [known_as("label Bug")],
        "labels": listed([label("Bug")]),
        "previousIdentifiers": [],
        "reactionData": [],
        "reactions": [],
        "url": f"{SPACE}/issue/{identifier}/{slug}",
        "sharedAccess": {
            "isShared": False,
            "sharedWithCount": 0,
            "viewerHasOnlySharedAccess": False,
            "disallowedIssueFields": [],
            "sharedWithUsers": [],
        },
        "state": state(number % 3),
        "team": TEAM,
        "assignee": user(PEOPLE[number % 3]),
        "creator": user(PEOPLE[(number + 1) % 3]),
        "children": listed([]),
        "attachments": listed([]),
        "relations": listed([]),
        "comments": listed([comment(1, NOTE[:150]), comment(2, NOTE[150:300])]) if number == 2 else listed([]),
        **_times(number),
    }


class Space:
    """What the team keeps, and how it answers."""

    def __init__(self) -> None:
        self.issues = list(map(issue, range(10)))
        self.said: Object = {}

    def find(self, identity: str) -> Object:
        """An issue by id or identifier."""
        return next(each for each in self.issues if identity in (each["id"], each["identifier"]))

    def root(self, name: str, given: Mapping[str, Any]) -> Any:
        """The value of a field of a query or mutation."""
        match name:
            case "issue":
                return self.find(given["id"])
            case "issues" | "searchIssues":
                found = [{**each, "__typename": "IssueSearchResult", "metadata": {}} for each in self.issues]
                gone = {"archive": "", "totalCount": 0, "databaseVersion": 0, "includesDependencies": []}
                return {**listed(found[: given.get("first") or 50]), "archivePayload": gone}
            case "team" | "teams":
                return TEAM if name == "team" else listed([TEAM])
            case "workflowState" | "workflowStates":
                states = list(map(state, range(3)))
                return listed(states) if name.endswith("s") else self.one(states, given["id"])
            case "comment":
                return self.said
            case "user":
                return self.one(list(map(user, PEOPLE)), given["id"])
            case "viewer":
                return user(PEOPLE[0])
            case "issueCreate" | "issueUpdate" | "commentCreate":
                return getattr(self, name)(**given)
            case _:
                return None

    def one(self, found: list[Object], identity: str) -> Object:
        """That with the id."""
        return next(each for each in found if each["id"] == identity)

    def issueCreate(self, input: Object) -> Object:  # noqa: N802  # Linear's name
        """Open an issue."""
        made = {**issue(0), "identifier": "REP-11", "number": 11, "labels": listed([]), "createdAt": NOW}
        slug = input["title"].lower().replace(" ", "-")
        made |= {"id": input.get("id") or known_as("new"), "title": input["title"], "assignee": None}
        made |= {"description": input.get("description"), "updatedAt": NOW, "url": f"{SPACE}/issue/REP-11/{slug}"}
        self.issues.append(made)
        return {"success": True, "lastSyncId": 4711.0, "issue": made}

    def issueUpdate(self, id: str, input: Object) -> Object:  # noqa: N802  # Linear's name
        """Change an issue."""
        found = self.find(id)
        found |= {"priority": input["priority"], "priorityLabel": "Urgent", "updatedAt": NOW}
        return {"success": True, "lastSyncId": 4712.0, "issue": found}

    def commentCreate(self, input: Object) -> Object:  # noqa: N802  # Linear's name
        """Comment on an issue."""
        self.said = made = {**comment(3, input["body"]), "createdAt": NOW, "updatedAt": NOW}
        return {"success": True, "lastSyncId": 4713.0, "comment": made}


def site() -> tuple[Site, Known]:
    """The workspace."""
    space = Space()

    return answering(space.root), {"issue": known_as("issue 2"), "team": TEAM["id"]}


def _tasks(known: Known) -> Tasks:
    made = {"title": "Export loses its filter", "description": NOTE}
    one = known["issue"]
    return (
        (
            "find an issue",
            [("linear_searchIssues", {"query": "report", "limit": 25})],
            [("search_issues", {"text": "report"})],
        ),
        ("read it", [("linear_getIssueById", {"id": one})], [("get_issue", {"issue": one})]),
        (
            "open one",
            [("linear_createIssue", {**made, "teamId": known["team"]})],
            [("create_issue", {**made, "team": known["team"], "request_id": "one"})],
        ),
        (
            "change it",
            [("linear_updateIssue", {"id": one, "priority": 1})],
            [("update_issue", {"issue": one, "priority": "urgent", "request_id": "two"})],
        ),
        (
            "comment",
            [("linear_createComment", {"issueId": one, "body": NOTE})],
            [("add_comment", {"issue": one, "body": NOTE, "request_id": "three"})],
        ),
    )


PAIR = Pair(
    "linear",
    "@tacticlaunch/mcp-linear 1.4.3",
    node("mcp-linear"),
    {"LINEAR_API_TOKEN": TOKEN},
    ["api.linear.app"],
    "",
    _tasks,
    site=site,
)
