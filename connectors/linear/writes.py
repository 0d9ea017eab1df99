"""Changing issues. We choose the ids of what is made, so a repeat cannot make it twice; changes name a state."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from clew import Api, From, errors, once

from .issues import get_issue
from .names import ids_of, team_id
from .provider import WRITE, IssueId, linear

PRIORITIES = ("none", "urgent", "high", "medium", "low")
"""By Linear's number."""
Priority = Annotated[Literal["none", "urgent", "high", "medium", "low"] | None, Field()]
Markdown = Annotated[str | None, Field(max_length=100_000, description="Markdown.")]
Person = Annotated[str | None, Field(description='"me", an e-mail address, a name or an id.')]
Names = Annotated[list[str] | None, Field(max_length=20, description="Names or ids.")]
Due = Annotated[str | None, Field(description="YYYY-MM-DD, not in the past.")]

# A client may choose the id, a UUID: a second one with it is refused. linear.app/developers, @linear/sdk 98.0.0
OUR_ID = once.NaturalKey(field="input.id", form="uuid")


class SavedIssue(BaseModel):
    """An issue after a change."""

    id: str
    identifier: str
    title: str
    state: Annotated[str, From("state.name")]
    assignee: Annotated[str | None, From("assignee.displayName")] = None
    labels: Annotated[list[str], From("labels.nodes[*].name")]
    updated_at: Annotated[str, From("updatedAt")]
    url: str


class SavedComment(BaseModel):
    """A comment that was just added."""

    id: str
    url: str


class Standing(BaseModel):
    """What has to be known of an issue before it is changed."""

    id: str
    team: Annotated[str, From("team.id")]
    updated_at: Annotated[str, From("updatedAt")]
    archived_at: Annotated[str | None, From("archivedAt")] = None


SAVED = "id identifier title updatedAt url state { name } assignee { displayName } labels(first: 20) { nodes { name } }"
CREATE = f"""mutation CreateIssue($input: IssueCreateInput!) {{
  issueCreate(input: $input) {{ success issue {{ {SAVED} }} }}
}}"""
UPDATE = f"""mutation UpdateIssue($id: String!, $input: IssueUpdateInput!) {{
  issueUpdate(id: $id, input: $input) {{ success issue {{ {SAVED} }} }}
}}"""
COMMENT = """mutation AddComment($input: CommentCreateInput!) {
  commentCreate(input: $input) { success comment { id url } }
}"""
ARCHIVE = "mutation ArchiveIssue($id: String!) { issueArchive(id: $id) { success } }"


async def _made(api: Api, key: str) -> SavedIssue | None:
    query = f"query MadeIssue($id: String!) {{ issue(id: $id) {{ {SAVED} }} }}"
    try:
        return await api.graphql(query, into=SavedIssue, at="issue", variables={"id": key})
    except errors.NotFoundError:
        return None


async def _said(api: Api, key: str) -> SavedComment | None:
    query = "query MadeComment($id: String!) { comment(id: $id) { id url } }"
    try:
        return await api.graphql(query, into=SavedComment, at="comment", variables={"id": key})
    except errors.NotFoundError:
        return None


@linear.write(toolset="issues", scopes=[f"{WRITE}|issues:create"], once=OUR_ID, verify=_made)
async def create_issue(
    api: Api,
    team: Annotated[str, Field(description="Key, name or id.")],
    title: Annotated[str, Field(min_length=1, max_length=512)],
    *,
    description: Markdown = None,
    state: Annotated[str | None, Field(description="A state of the team; else its first one.")] = None,
    assignee: Person = None,
    priority: Priority = None,
    labels: Names = None,
    project: Annotated[str | None, Field(description="Name or id.")] = None,
    parent: Annotated[str | None, Field(description="Makes a sub-issue of this one: its id.")] = None,
    due_date: Due = None,
) -> SavedIssue:
    """Open an issue in a team."""
    given = _given(title=title, description=description, priority=priority, parentId=parent, due_date=due_date)
    where = await team_id(api, team)
    named = await ids_of(api, where, state=state, assignee=assignee, project=project, labels=labels or [])
    given |= {"teamId": where, **_ids(named)}
    if labels:
        given["labelIds"] = list(named["labels"].values())
    return await api.graphql(CREATE, into=SavedIssue, at="issueCreate.issue", variables={"input": given})


@linear.write(toolset="issues", scopes=[WRITE], once=once.NaturalKey())
async def update_issue(
    api: Api,
    issue: IssueId,
    *,
    title: Annotated[str | None, Field(min_length=1, max_length=512)] = None,
    description: Annotated[str | None, Field(description="Markdown; replaces all of it.")] = None,
    state: str | None = None,
    assignee: Annotated[str | None, Field(description='As in create_issue; "none" for nobody.')] = None,
    priority: Priority = None,
    add_labels: Names = None,
    remove_labels: Names = None,
    project: Annotated[str | None, Field(description="Name or id.")] = None,
    due_date: Due = None,
    unless_changed_since: Annotated[str | None, Field(description="updated_at as you read it.")] = None,
) -> SavedIssue:
    """Change an issue; what is not given stays. The last change wins, unless unless_changed_since is given."""
    given = _given(title=title, description=description, priority=priority, due_date=due_date)
    labels = [*(add_labels or []), *(remove_labels or [])]
    if not (given or labels or state or assignee or project):
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one field to change.")
    query = "query Standing($id: String!) { issue(id: $id) { id updatedAt archivedAt team { id } } }"
    there = await api.graphql(query, into=Standing, at="issue", variables={"id": issue})
    _check_standing(there, unless_changed_since)
    person = None if assignee == "none" else assignee
    named = await ids_of(api, there.team, state=state, assignee=person, project=project, labels=labels)
    given |= _ids(named)
    if assignee == "none":
        given["assigneeId"] = None
    for field, asked in (("addedLabelIds", add_labels), ("removedLabelIds", remove_labels)):
        if asked:
            given[field] = [named["labels"][label] for label in asked]
    variables = {"id": there.id, "input": given}
    return await api.graphql(UPDATE, into=SavedIssue, at="issueUpdate.issue", variables=variables)


@linear.write(toolset="issues", scopes=[f"{WRITE}|comments:create"], once=OUR_ID, verify=_said)
async def add_comment(
    api: Api,
    issue: IssueId,
    body: Annotated[str, Field(min_length=1, max_length=100_000, description="Markdown.")],
    reply_to: Annotated[str | None, Field(description="The id of the comment to answer.")] = None,
) -> SavedComment:
    """Comment on an issue. Its subscribers are notified."""
    given = {"issueId": issue, "body": body, **({} if reply_to is None else {"parentId": reply_to})}
    return await api.graphql(COMMENT, into=SavedComment, at="commentCreate.comment", variables={"input": given})


@linear.destructive(preview=get_issue, toolset="issues", scopes=[WRITE], once=once.NaturalKey())
async def archive_issue(api: Api, issue: IssueId) -> None:
    """Archive an issue: it leaves all lists and boards. A person can restore it in Linear."""
    await api.graphql(ARCHIVE, into=bool, at="issueArchive.success", variables={"id": issue})


def _given(*, priority: str | None, due_date: str | None, **texts: str | None) -> dict[str, Any]:
    """The plain fields of an issue, as Linear calls them."""
    given: dict[str, Any] = {name: value for name, value in texts.items() if value is not None}
    if priority is not None:
        given["priority"] = PRIORITIES.index(priority)
    if due_date is not None:
        given["dueDate"] = _day(due_date)
    return given


def _day(text: str) -> str:
    """The date, unless it is over everywhere on earth."""
    try:
        day = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else None
    except ValueError:
        day = None
    if day is not None and day >= (datetime.now(UTC) - timedelta(hours=12)).date():
        return text
    why = "is no date of the form YYYY-MM-DD" if day is None else "is in the past"
    raise errors.InvalidInputError(f"due_date {why}.", fields={"due_date": why}, next_step="Check the year.")


def _ids(named: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}Id": named[name] for name in ("state", "assignee", "project") if name in named}


def _check_standing(there: Standing, read_at: str | None) -> None:
    if there.archived_at is not None:
        raise errors.ConflictError(
            "the issue is archived; nothing was changed.",
            next_step="Ask the person to restore it in Linear, or open a new issue.",
        )
    if read_at is not None and read_at != there.updated_at:
        raise errors.ConflictError(
            "the issue was changed since it was read; nothing was changed.",
            next_step="Read it again with get_issue, and decide anew.",
        )
