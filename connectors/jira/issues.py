"""Finding and reading issues, their comments, and the ways on that their workflow leaves open."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, CursorPages, From, NumberPages, Page

from .provider import READ, Cursor, IssueKey, jira
from .texts import LongLength, LongText, ShortLength, ShortText, look, plain

ISSUE = "/rest/api/3/issue/{}"
COMMENTS = "/rest/api/3/issue/{}/comment"

LINE = ("summary", "status", "issuetype", "assignee", "priority", "updated")
WHOLE = (
    *LINE, "description", "reporter", "labels", "created", "duedate", "resolution", "parent", "subtasks", "issuelinks",
)  # fmt: skip
SEARCH = CursorPages(
    cursor="nextPageToken", parameter="nextPageToken", items="issues", size=25, size_parameter="maxResults"
)
SAID = NumberPages(parameter="startAt", start=0, step="items", items="comments", size=20, size_parameter="maxResults")

FieldIds = Annotated[
    list[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,100}$")]] | None,
    Field(max_length=20, description="Ids of further fields to read: duedate, customfield_10016."),
]
More = Annotated[dict[str, Any] | None, From("fields"), Field(description="The further fields, by id.")]


def _links(value: Any) -> list[str] | None:
    """Jira names a link from both sides; ours is the one whose issue is there."""
    links: list[Any] = value or []
    return [found for each in links for found in _link(each)] or None


def _link(link: Any) -> list[str]:
    sides = (("outwardIssue", "outward"), ("inwardIssue", "inward"))
    return [
        f"{look(link, f'type.{word}')} {look(link, f'{side}.key')} ({look(link, f'{side}.fields.status.name')}): "
        f"{look(link, f'{side}.fields.summary')}"
        for side, word in sides
        if look(link, f"{side}.key")
    ]


class IssueLine(BaseModel):
    """An issue in a list."""

    key: str
    summary: Annotated[str | None, From("fields.summary")] = None
    status: Annotated[str | None, From("fields.status.name")] = None
    type: Annotated[str | None, From("fields.issuetype.name")] = None
    assignee: Annotated[str | None, From("fields.assignee.displayName")] = None
    priority: Annotated[str | None, From("fields.priority.name")] = None
    updated: Annotated[str | None, From("fields.updated")] = None
    more: More = None


class Issue(BaseModel):
    """One issue."""

    key: str
    summary: Annotated[str, From("fields.summary")]
    status: Annotated[str, From("fields.status.name")]
    type: Annotated[str | None, From("fields.issuetype.name")] = None
    assignee: Annotated[str | None, From("fields.assignee.displayName")] = None
    assignee_id: Annotated[str | None, From("fields.assignee.accountId")] = None
    reporter: Annotated[str | None, From("fields.reporter.displayName")] = None
    priority: Annotated[str | None, From("fields.priority.name")] = None
    resolution: Annotated[str | None, From("fields.resolution.name")] = None
    labels: Annotated[list[str] | None, From("fields.labels")] = None
    due_date: Annotated[str | None, From("fields.duedate")] = None
    parent: Annotated[str | None, From("fields.parent.key")] = None
    subtasks: Annotated[list[str] | None, From("fields.subtasks[*].key")] = None
    links: Annotated[
        list[str] | None,
        From("fields.issuelinks"),
        BeforeValidator(_links),
        Field(description="How it is linked to which issue, with that one's status."),
    ] = None
    created: Annotated[str | None, From("fields.created")] = None
    updated: Annotated[str | None, From("fields.updated"), Field(description="For update_issue.")] = None
    description: Annotated[LongText, From("fields.description"), Field(description="Markdown.")] = None
    description_length: Annotated[LongLength, From("fields.description")] = None
    more: More = None


class Comment(BaseModel):
    """A comment."""

    id: str
    author: Annotated[str | None, From("author.displayName")] = None
    created: str
    internal: Annotated[
        bool | None, From("jsdPublic"), BeforeValidator(lambda shown: True if shown is False else None)
    ] = None
    text: Annotated[ShortText, From("body"), Field(description="Markdown.")] = None
    text_length: Annotated[ShortLength, From("body")] = None


def _required(fields: Any) -> Any:
    rows: dict[str, Any] = fields or {}
    return [name for name, facts in rows.items() if facts.get("required") and not facts.get("hasDefaultValue")] or None


class Transition(BaseModel):
    """A way on."""

    id: str
    name: str
    to: Annotated[str | None, From("to.name")] = None
    required: Annotated[
        list[str] | None,
        From("fields"),
        BeforeValidator(_required),
        Field(description="Fields that must be given with it, by id."),
    ] = None


class Standing(BaseModel):
    """Where an issue stands, and the transitions that are open to it for this account."""

    key: str
    summary: Annotated[str, From("fields.summary")]
    status: Annotated[str, From("fields.status.name")]
    transitions: list[Transition]


def _asked(base: tuple[str, ...], fields: list[str] | None) -> str:
    return ",".join(dict.fromkeys([*base, *(fields or [])]))


def _extra(more: dict[str, Any] | None, fields: list[str] | None) -> dict[str, Any] | None:
    """Of all fields those that were asked for besides."""
    return {name: plain(more.get(name)) for name in fields} if more is not None and fields else None


@jira.read(toolset="issues", scopes=[READ])
async def search_issues(
    api: Api,
    jql: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4000,
            description='"project = ABC AND status != Done ORDER BY updated DESC". It must limit the search.',
        ),
    ],
    fields: FieldIds = None,
    cursor: Cursor = None,
) -> Page[IssueLine]:
    """Search issues with JQL. Changes of the last seconds may be missing."""
    query = {"jql": jql, "fields": _asked(LINE, fields)}
    page = await api.page("/rest/api/3/search/jql", into=IssueLine, query=query, pages=SEARCH, cursor=cursor)
    items = [line.model_copy(update={"more": _extra(line.more, fields)}) for line in page.items]
    return Page[IssueLine](items=items, next_cursor=page.next_cursor)


@jira.read(toolset="issues", scopes=[READ])
async def get_issue(api: Api, issue: IssueKey, fields: FieldIds = None) -> Issue:
    """Read one issue."""
    query = {"fields": _asked(WHOLE, fields)}
    found = await api.get(ISSUE, issue, query=query, into=Issue)
    return found.model_copy(update={"more": _extra(found.more, fields)})


@jira.read(toolset="issues", scopes=[READ])
async def get_comments(api: Api, issue: IssueKey, cursor: Cursor = None) -> Page[Comment]:
    """Read the comments on an issue, newest first."""
    query = {"orderBy": "-created"}
    return await api.page(COMMENTS, issue, into=Comment, query=query, pages=SAID, cursor=cursor)


@jira.read(toolset="issues", scopes=[READ])
async def list_transitions(api: Api, issue: IssueKey) -> Standing:
    """Show an issue's status and the transitions that are open to it."""
    query = {"fields": "summary,status", "expand": "transitions,transitions.fields"}
    return await api.get(ISSUE, issue, query=query, into=Standing)
