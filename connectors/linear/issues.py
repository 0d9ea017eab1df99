"""Reading issues and the comments on them. Every query names the fields it shows, so nothing else is fetched."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from clew import Api, From, GraphQLPages, Page

from .names import is_id, person
from .provider import Cursor, IssueId, linear

SIZE, COMMENTS = 25, 10
LINE = "id identifier title state { name } assignee { displayName } priorityLabel dueDate updatedAt archivedAt url"
PAGE = "pageInfo { hasNextPage endCursor }"
CLOSED = ["completed", "canceled", "duplicate"]
"""The types of states in which nobody works on an issue any more."""


def cut(limit: int) -> AfterValidator:
    """Cut a text to `limit` characters."""
    return AfterValidator(lambda text: text if text is None or len(text) <= limit else text[:limit] + "…")


class IssueLine(BaseModel):
    """An issue in a list."""

    identifier: str
    title: str
    state: Annotated[str, From("state.name")]
    assignee: Annotated[str | None, From("assignee.displayName")] = None
    priority: Annotated[str, From("priorityLabel")]
    due_date: Annotated[str | None, From("dueDate")] = None
    updated_at: Annotated[str, From("updatedAt")]
    archived_at: Annotated[str | None, From("archivedAt")] = None
    url: str


class Comment(BaseModel):
    """A comment on an issue. Without an author it came from an integration."""

    id: str
    author: Annotated[str | None, From("user.displayName")] = None
    created_at: Annotated[str, From("createdAt")]
    body: Annotated[str, cut(2000)]
    reply_to: Annotated[str | None, From("parentId")] = None


class Issue(BaseModel):
    """One issue with some of its comments."""

    id: str
    identifier: str
    title: str
    state: Annotated[str, From("state.name")]
    state_type: Annotated[str, From("state.type")]
    team: Annotated[str, From("team.key")]
    assignee: Annotated[str | None, From("assignee.displayName")] = None
    creator: Annotated[str | None, From("creator.displayName")] = None
    priority: Annotated[str, From("priorityLabel")]
    estimate: float | None = None
    labels: Annotated[list[str], From("labels.nodes[*].name")]
    project: Annotated[str | None, From("project.name")] = None
    cycle: Annotated[str | None, From("cycle.name")] = None
    parent: Annotated[str | None, From("parent.identifier")] = None
    children: Annotated[list[str], From("children.nodes[*].identifier")]
    due_date: Annotated[str | None, From("dueDate")] = None
    branch: Annotated[str, From("branchName")]
    created_at: Annotated[str, From("createdAt")]
    updated_at: Annotated[str, From("updatedAt")]
    archived_at: Annotated[str | None, From("archivedAt")] = None
    url: str
    description: Annotated[str | None, cut(8000)] = None
    comments: Annotated[list[Comment], From("comments.nodes")]
    more_comments: Annotated[
        bool, From("comments.pageInfo.hasNextPage"), Field(description="True: list_comments has the rest.")
    ]


COMMENT = "id body createdAt parentId user { displayName }"
GET = f"""
query GetIssue($id: String!) {{
  issue(id: $id) {{
    id identifier title description estimate priorityLabel dueDate branchName createdAt updatedAt archivedAt url
    state {{ name type }} team {{ key }} assignee {{ displayName }} creator {{ displayName }} project {{ name }}
    cycle {{ name }} parent {{ identifier }} labels(first: 20) {{ nodes {{ name }} }}
    children(first: 20) {{ nodes {{ identifier }} }}
    comments(first: {COMMENTS}) {{ nodes {{ {COMMENT} }} {PAGE} }}
  }}
}}"""
LIST = f"""
query ListIssues($filter: IssueFilter, $archived: Boolean, $first: Int, $after: String) {{
  issues(filter: $filter, includeArchived: $archived, first: $first, after: $after, orderBy: updatedAt) {{
    nodes {{ {LINE} }} {PAGE}
  }}
}}"""
SEARCH = f"""
query SearchIssues($term: String!, $filter: IssueFilter, $archived: Boolean, $first: Int, $after: String) {{
  searchIssues(term: $term, filter: $filter, includeArchived: $archived, first: $first, after: $after) {{
    nodes {{ {LINE} }} {PAGE}
  }}
}}"""
MINE = f"""
query MyIssues($filter: IssueFilter, $first: Int, $after: String) {{
  viewer {{
    assignedIssues(filter: $filter, first: $first, after: $after, orderBy: updatedAt) {{ nodes {{ {LINE} }} {PAGE} }}
  }}
}}"""
TALK = f"""
query ListComments($id: String!, $first: Int, $after: String) {{
  issue(id: $id) {{ comments(first: $first, after: $after) {{ nodes {{ {COMMENT} }} {PAGE} }} }}
}}"""


@linear.read(toolset="issues")
async def search_issues(
    api: Api,
    text: Annotated[str | None, Field(max_length=500, description="Words; without them the newest changes.")] = None,
    *,
    team: Annotated[str | None, Field(description="Key or id.")] = None,
    state: Annotated[str | None, Field(description='"In Progress", or "open" for all that are not closed.')] = None,
    assignee: Annotated[str | None, Field(description='"me", "none", an e-mail address or a name.')] = None,
    label: str | None = None,
    project: Annotated[str | None, Field(description="Name or id.")] = None,
    updated_since: Annotated[str | None, Field(description="ISO 8601.")] = None,
    archived: Annotated[bool, Field(description="Archived ones too.")] = False,
    cursor: Cursor = None,
) -> Page[IssueLine]:
    """Search issues by words and properties. A name that does not exist matches nothing."""
    wanted: dict[str, Any] = {}
    if team is not None:
        wanted["team"] = {"id": {"eq": team}} if is_id(team) else {"key": {"eqIgnoreCase": team}}
    if state is not None:
        wanted["state"] = {"type": {"nin": CLOSED}} if state == "open" else {"name": {"eqIgnoreCase": state}}
    if assignee is not None:
        wanted["assignee"] = {"null": True} if assignee == "none" else person(assignee)
    if label is not None:
        wanted["labels"] = {"some": {"name": {"eqIgnoreCase": label}}}
    if project is not None:
        wanted["project"] = {"id": {"eq": project}} if is_id(project) else {"name": {"eqIgnoreCase": project}}
    if updated_since is not None:
        wanted["updatedAt"] = {"gte": updated_since}
    given = {"filter": wanted, "archived": archived, **({} if text is None else {"term": text})}
    query, connection = (LIST, "issues") if text is None else (SEARCH, "searchIssues")
    return await api.graphql_page(
        query, into=IssueLine, pages=GraphQLPages(connection, size=SIZE), variables=given, cursor=cursor
    )


@linear.read(toolset="issues")
async def list_my_issues(api: Api, state: Literal["open", "all"] = "open", cursor: Cursor = None) -> Page[IssueLine]:
    """List the issues assigned to the account, last changed first."""
    given = {"filter": {"state": {"type": {"nin": CLOSED}}} if state == "open" else {}}
    pages = GraphQLPages("viewer.assignedIssues", size=SIZE)
    return await api.graphql_page(MINE, into=IssueLine, pages=pages, variables=given, cursor=cursor)


@linear.read(toolset="issues")
async def get_issue(api: Api, issue: IssueId) -> Issue:
    """Read one issue with its description and its first comments."""
    return await api.graphql(GET, into=Issue, at="issue", variables={"id": issue})


@linear.read(toolset="issues")
async def list_comments(api: Api, issue: IssueId, cursor: Cursor = None) -> Page[Comment]:
    """List the comments on an issue."""
    pages = GraphQLPages("issue.comments", size=SIZE)
    return await api.graphql_page(TALK, into=Comment, pages=pages, variables={"id": issue}, cursor=cursor)
