"""Creating, changing and deleting issues.

Jira has no idempotency keys. What it makes carries a mark that people do not see, and is found again by it: an entity
property on issues and comments, a line of the history's own data on changes. None of it was tried on a real site.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field

from clew import Api, From, errors, once
from clew.connectors.text.adf import adf_of

from .issues import COMMENTS, ISSUE, list_transitions
from .projects import Person
from .provider import READ, WRITE, IssueKey, ProjectKey, jira
from .texts import look

PROPERTY = "clew"
"""The property that holds our mark. https://developer.atlassian.com/cloud/jira/platform/jira-entity-properties"""
MARK = once.Marker(field="properties.0.value")
HISTORY = once.Marker(field="historyMetadata.extraData.clew", methods=("PUT", "POST"))
RECENT = 50

_ACCOUNT = re.compile(r"[0-9a-f]{24}|[a-z0-9]{2,10}:\S{4,120}")

Markdown = Annotated[str | None, Field(max_length=32_000, description="Markdown.")]
Labels = Annotated[
    list[Annotated[str, Field(pattern=r"^\S{1,255}$")]] | None, Field(max_length=50, description="Without spaces.")
]
DueDate = Annotated[date | None, Field(description="YYYY-MM-DD.")]
Others = Annotated[
    dict[str, Any] | None, Field(description='Further fields by id, as Jira takes them: {"customfield_10016": 3}.')
]


class NewIssue(BaseModel):
    """An issue that was just created."""

    key: str
    id: str


class NewComment(BaseModel):
    """A comment that was just added."""

    id: str
    created: str | None = None


class Changed(BaseModel):
    """An issue after a change."""

    key: str
    summary: Annotated[str, From("fields.summary")]
    status: Annotated[str, From("fields.status.name")]
    assignee: Annotated[str | None, From("fields.assignee.displayName")] = None
    updated: Annotated[str | None, From("fields.updated")] = None


class Deletion(BaseModel):
    """What deleting an issue will do."""

    key: str
    summary: Annotated[str, From("fields.summary")]
    status: Annotated[str, From("fields.status.name")]
    reporter: Annotated[str | None, From("fields.reporter.displayName")] = None
    subtasks: Annotated[list[str] | None, From("fields.subtasks[*].key")] = None


def _marked(**more: Any) -> list[dict[str, Any]]:
    """Properties for a new object, ours first; its value is the mark, or nothing where nobody would look for it."""
    return [{"key": PROPERTY, "value": ""}, *({"key": name, "value": value} for name, value in more.items())]


def _holds(properties: Any, marker: str) -> bool:
    """Comments list their properties, issues name them."""
    ours = {"key": PROPERTY, "value": marker}
    return ours in properties if isinstance(properties, list) else look(properties, PROPERTY) == marker


async def _created(api: Api, project: str, marker: str) -> NewIssue:
    """The issue with our mark. The search index runs behind, so that it is not there yet proves nothing."""
    jql = f'project = "{project}" AND creator = currentUser() AND created >= -1d ORDER BY created DESC'
    query: dict[str, str | int] = {"jql": jql, "fields": "id", "properties": PROPERTY, "maxResults": RECENT}
    found: list[Any] = await api.get("/rest/api/3/search/jql", query=query, at="issues")
    for each in found:
        if _holds(each.get("properties"), marker):
            return NewIssue(key=each["key"], id=each["id"])
    raise errors.TransientError("the search does not know the issue yet; it may still be on its way.")


async def _commented(api: Api, issue: str, marker: str) -> NewComment | None:
    query: dict[str, str | int] = {"orderBy": "-created", "expand": "properties", "maxResults": RECENT}
    found: list[Any] = await api.get(COMMENTS, issue, query=query, at="comments")
    mine = [each for each in found if _holds(each.get("properties"), marker)]
    return NewComment(id=mine[0]["id"], created=mine[0].get("created")) if mine else None


async def _changed(api: Api, issue: str, marker: str) -> Changed | None:
    """The issue, when its history has a change with our mark."""
    query = {"fields": "status", "expand": "changelog"}
    histories: list[Any] = await api.get(ISSUE, issue, query=query, at="changelog.histories")
    said = [look(each, "historyMetadata.extraData.clew") for each in histories]
    return await _now(api, issue) if marker in said else None


async def _now(api: Api, issue: str) -> Changed:
    return await api.get(ISSUE, issue, query={"fields": "summary,status,assignee,updated"}, into=Changed)


def _fields(**given: Any) -> dict[str, Any]:
    """The fields of a request, without those that were not given."""
    others: dict[str, Any] = given.pop("others") or {}
    named = {name: value for name, value in given.items() if value is not None}
    if twice := sorted(named.keys() & others.keys()):
        raise errors.InvalidInputError(f"{twice[0]} is given twice.", next_step="Give it once, outside of fields.")
    due = named.get("duedate")
    if due is not None:
        if due < datetime.now(UTC).date() - timedelta(days=1):
            raise errors.InvalidInputError("due_date is in the past.", next_step="Check the year, then call again.")
        named["duedate"] = due.isoformat()
    if "description" in named:
        named["description"] = adf_of(named["description"])
    return {**named, **others}


@jira.write(toolset="changes", scopes=[READ, WRITE], once=MARK, verify=once.Look(_created, after=10.0, every=5.0))
async def create_issue(
    api: Api,
    project: ProjectKey,
    issue_type: Annotated[str, Field(min_length=1, max_length=60, description="A name of get_project: Bug, Task.")],
    summary: Annotated[str, Field(min_length=1, max_length=255)],
    *,
    description: Markdown = None,
    labels: Labels = None,
    priority: Annotated[str | None, Field(description="A name: High.")] = None,
    assignee_id: Annotated[str | None, Field(description="An account_id of search_assignees.")] = None,
    parent: Annotated[IssueKey | None, Field(description="The epic, or the issue of a subtask.")] = None,
    due_date: DueDate = None,
    fields: Others = None,
) -> NewIssue:
    """Create an issue. Whoever watches the project is notified."""
    body = _fields(
        project={"key": project},
        issuetype={"name": issue_type},
        summary=_line(summary),
        description=description,
        labels=labels,
        priority=_named("name", priority),
        assignee=_named("accountId", assignee_id),
        parent=_named("key", parent),
        duedate=due_date,
        others=fields,
    )
    made = await api.post("/rest/api/3/issue", json={"fields": body, "properties": _marked()}, into=NewIssue)
    api.reference(made.key)
    return made


def _line(text: str) -> str:
    """Jira refuses a summary of several lines."""
    return " ".join(text.split())


def _named(kind: str, value: str | None) -> dict[str, str] | None:
    return None if value is None else {kind: value}


@jira.write(toolset="changes", scopes=[READ, WRITE], once=MARK, verify=once.Look(_commented, after=3.0))
async def add_comment(
    api: Api,
    issue: IssueKey,
    text: Annotated[str, Field(min_length=1, max_length=32_000, description="Markdown.")],
    to_customer: Annotated[
        bool, Field(description="In a service project: the customer reads it and gets mail. A person is asked.")
    ] = False,
) -> NewComment:
    """Comment on an issue. Its watchers are notified."""
    properties = _marked() if to_customer else _marked(**{"sd.public.comment": {"internal": True}})
    return await api.post(COMMENTS, issue, json={"body": adf_of(text), "properties": properties}, into=NewComment)


@jira.asks_when(add_comment)
def reaches_the_customer(arguments: Mapping[str, Any]) -> bool:
    """Mail leaves for people outside."""
    return bool(arguments["to_customer"])


@jira.write(toolset="changes", scopes=[READ, WRITE], once=HISTORY, verify=once.Look(_changed, after=2.0))
async def update_issue(
    api: Api,
    issue: IssueKey,
    *,
    summary: Annotated[str | None, Field(min_length=1, max_length=255)] = None,
    description: Markdown = None,
    labels: Annotated[Labels, Field(description="Replaces all labels.")] = None,
    priority: Annotated[str | None, Field(description="A name: High.")] = None,
    parent: IssueKey | None = None,
    due_date: DueDate = None,
    fields: Others = None,
    updated: Annotated[
        str | None, Field(description="updated of get_issue: refuses if the issue has changed since.")
    ] = None,
) -> Changed:
    """Change fields of an issue; what is not given stays. A description replaces the whole one."""
    body = _fields(
        summary=None if summary is None else _line(summary),
        description=description,
        labels=labels,
        priority=_named("name", priority),
        parent=_named("key", parent),
        duedate=due_date,
        others=fields,
    )
    if not body:
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one field to change.")
    if updated is not None and (await _now(api, issue)).updated != updated:
        raise errors.ConflictError(
            "the issue has changed since it was read.",
            next_step="Read it again with get_issue, decide anew, and pass its new updated.",
        )
    await api.put(ISSUE, issue, json={"fields": body, "historyMetadata": {"type": PROPERTY}})
    return await _now(api, issue)


@jira.write(toolset="changes", scopes=[READ, WRITE], once=HISTORY, verify=once.Look(_changed, after=2.0))
async def transition_issue(
    api: Api,
    issue: IssueKey,
    transition_id: Annotated[str, Field(pattern=r"^[0-9]{1,12}$", description="An id of list_transitions.")],
    *,
    resolution: Annotated[str | None, Field(description="A name: Done. Where the transition wants one.")] = None,
    fields: Others = None,
) -> Changed:
    """Move an issue along its workflow, which may mail people and start automations. A person is asked."""
    given = _fields(resolution=_named("name", resolution), others=fields)
    body: dict[str, Any] = {"transition": {"id": transition_id}, "historyMetadata": {"type": PROPERTY}}
    await api.post("/rest/api/3/issue/{}/transitions", issue, json=body | ({"fields": given} if given else {}))
    return await _now(api, issue)


@jira.asks_when(transition_issue, preview=list_transitions)
def always(arguments: Mapping[str, Any]) -> bool:
    """What a workflow does on the way cannot be seen from here, and not every way leads back."""
    return True


@jira.write(toolset="changes", scopes=[READ, WRITE], once=once.NaturalKey())
async def assign_issue(
    api: Api,
    issue: IssueKey,
    assignee: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="account_id, name or e-mail address; null for nobody."),
    ],
) -> Changed:
    """Assign an issue, or take it from its assignee. The assignee is notified."""
    account = None if assignee is None else await _account(api, issue, assignee)
    await api.put("/rest/api/3/issue/{}/assignee", issue, json={"accountId": account})
    return await _now(api, issue)


async def _account(api: Api, issue: str, assignee: str) -> str:
    """The account of somebody who can be assigned. Raises when there is none, or more than one."""
    if _ACCOUNT.fullmatch(assignee):
        return assignee
    query: dict[str, str | int] = {"query": assignee, "issueKey": issue, "maxResults": 20}
    found = await api.get("/rest/api/3/user/assignable/search", query=query, into=list[Person])
    exact = [each for each in found if assignee.casefold() in ((each.email or "").casefold(), _folded(each.name))]
    chosen = exact or found
    if len(chosen) == 1:
        return chosen[0].account_id
    if chosen:
        raise errors.InvalidInputError(
            f"{len(chosen)} people fit this assignee.",
            next_step="Find the right one with search_assignees and pass the account_id.",
        )
    raise errors.NotFoundError(
        "nobody who fits can be assigned to this issue.",
        next_step="Try another spelling with search_assignees, or ask the person who is meant.",
    )


def _folded(name: str | None) -> str:
    return (name or "").casefold()


@jira.read(toolset="changes", scopes=[READ])
async def preview_deletion(api: Api, issue: IssueKey, with_subtasks: bool = False) -> Deletion:
    """Show what delete_issue would delete; deletes nothing."""
    found = await api.get(ISSUE, issue, query={"fields": "summary,status,reporter,subtasks"}, into=Deletion)
    if found.subtasks and not with_subtasks:
        raise errors.ConflictError(
            f"the issue has {len(found.subtasks)} subtasks, which go with it.",
            next_step="Call with with_subtasks=true, if all of them are to be deleted as well.",
        )
    return found


@jira.destructive(
    preview=preview_deletion,
    toolset="changes",
    scopes=[WRITE],
    once=once.NaturalKey(done=("already_done", "not_found")),
)
async def delete_issue(api: Api, issue: IssueKey, with_subtasks: bool = False) -> None:
    """Delete an issue with its comments and attachments. It cannot be restored."""
    await api.delete(ISSUE, issue, query={"deleteSubtasks": "true" if with_subtasks else "false"})
