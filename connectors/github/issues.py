"""Issues and the comments on them. For most of this GitHub treats a pull request as an issue."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from clew import Api, From, LinkPages, Page, errors, once

from .excerpts import BODY_LENGTH, cut, length_over
from .provider import Cursor, github

SEARCH_SIZE = 20
LAST_SEARCH_PAGE = 1000 // SEARCH_SIZE
"""GitHub shows the first 1000 results of a search, whatever `total_count` says."""

OwnedPullRequest = Annotated[bool | None, From("pull_request"), BeforeValidator(bool)]


class IssueLine(BaseModel):
    """An issue in a list."""

    number: int
    title: str
    state: str
    is_pull_request: OwnedPullRequest = None
    author: Annotated[str | None, From("user.login")] = None
    labels: Annotated[list[str], From("labels[*].name")]
    comments: int
    updated_at: str
    url: Annotated[str, From("html_url")]


class IssuePage(BaseModel):
    """One page of a repository's issues, without the pull requests that GitHub lists among them."""

    items: list[IssueLine]
    pull_requests_left_out: int
    next_cursor: str | None = Field(default=None, description="Pass it as `cursor` to get the next page.")


class Hits(BaseModel):
    """One page of a search."""

    total_count: int
    incomplete_results: Annotated[bool, Field(description="True: GitHub ran out of time, more may match.")]
    items: list[IssueLine]
    next_cursor: str | None = Field(default=None, description="Pass it as `cursor` to get the next page.")


class Issue(BaseModel):
    """One issue."""

    number: int
    title: str
    state: str
    state_reason: str | None = None
    is_pull_request: OwnedPullRequest = None
    author: Annotated[str | None, From("user.login")] = None
    assignees: Annotated[list[str], From("assignees[*].login")] = []
    labels: Annotated[list[str], From("labels[*].name")]
    milestone: Annotated[str | None, From("milestone.title")] = None
    comments: int
    created_at: str
    updated_at: str
    closed_at: str | None = None
    url: Annotated[str, From("html_url")]
    body: Annotated[str | None, cut(6000)] = None
    body_length: Annotated[int | None, From("body"), length_over(6000), BODY_LENGTH] = None


class CommentLine(BaseModel):
    """A comment in a list."""

    id: int
    author: Annotated[str | None, From("user.login")] = None
    created_at: str
    body: Annotated[str | None, cut(600)] = None
    body_length: Annotated[int | None, From("body"), length_over(600), BODY_LENGTH] = None


class Comment(BaseModel):
    """One comment."""

    id: int
    author: Annotated[str | None, From("user.login")] = None
    created_at: str
    updated_at: str
    url: Annotated[str, From("html_url")]
    body: Annotated[str | None, cut(6000)] = None
    body_length: Annotated[int | None, From("body"), length_over(6000), BODY_LENGTH] = None


class ChangedIssue(BaseModel):
    """An issue after a change."""

    number: int
    title: str
    state: str
    labels: Annotated[list[str], From("labels[*].name")]
    assignees: Annotated[list[str], From("assignees[*].login")] = []
    url: Annotated[str, From("html_url")]
    not_set: Annotated[
        list[str] | None, Field(description="What GitHub ignored: this account may not set it here.")
    ] = None


class NewComment(BaseModel):
    """A comment that was just added."""

    id: int
    url: Annotated[str, From("html_url")]


@github.read(toolset="issues")
async def search_issues(
    api: Api,
    query: Annotated[str, Field(description='GitHub search syntax: "repo:octo/app is:open label:bug crash".')],
    kind: Literal["issue", "pull_request"] = "issue",
    sort: Literal["created", "updated", "comments"] | None = None,
    cursor: Cursor = None,
) -> Hits:
    """Search issues, or pull requests, in all repositories the account can see. At most 1000 results are shown."""
    number = _page_number(cursor)
    asked = {"q": _qualified(query, kind), "sort": sort, "per_page": SEARCH_SIZE, "page": number}
    hits = await api.get("/search/issues", query=asked, into=Hits)
    more = number < LAST_SEARCH_PAGE and number * SEARCH_SIZE < hits.total_count and bool(hits.items)
    return hits.model_copy(update={"next_cursor": str(number + 1) if more else None})


def _qualified(query: str, kind: str) -> str:
    """GitHub refuses a search that does not say which of the two it wants."""
    if re.search(r"(?:^|[\s(])(?:is:(?:issue|pr|pull-request)|type:(?:issue|pr))\b", query, re.IGNORECASE):
        return query
    return f"{query} is:{kind.replace('_', '-')}"


def _page_number(cursor: str | None) -> int:
    if cursor is None:
        return 1
    if re.fullmatch(r"[0-9]{1,2}", cursor) and 2 <= int(cursor) <= LAST_SEARCH_PAGE:
        return int(cursor)
    raise errors.InvalidInputError(
        "the cursor is not one that this tool returned.",
        next_step="Pass next_cursor of the previous page unchanged, or no cursor for the first page.",
    )


@github.read(toolset="issues")
async def list_issues(
    api: Api,
    owner: str,
    repo: str,
    *,
    state: Literal["open", "closed", "all"] = "open",
    labels: Annotated[list[str] | None, Field(description="Only issues with all of these.")] = None,
    assignee: Annotated[str | None, Field(description='A login, "none" or "*" for any.')] = None,
    since: Annotated[str | None, Field(description="Only changed after this ISO time.")] = None,
    cursor: Cursor = None,
) -> IssuePage:
    """List a repository's issues, newest first, without its pull requests."""
    asked = {"state": state, "labels": ",".join(labels or []) or None, "assignee": assignee, "since": since}
    page = await api.page("/repos/{}/{}/issues", owner, repo, into=IssueLine, query=asked, cursor=cursor)
    items = [line for line in page.items if not line.is_pull_request]
    return IssuePage(items=items, pull_requests_left_out=len(page.items) - len(items), next_cursor=page.next_cursor)


@github.read(toolset="issues")
async def get_issue(api: Api, owner: str, repo: str, number: int) -> Issue:
    """Read one issue, or the discussion side of a pull request."""
    return await api.get("/repos/{}/{}/issues/{}", owner, repo, number, into=Issue)


@github.read(toolset="issues")
async def list_comments(api: Api, owner: str, repo: str, number: int, cursor: Cursor = None) -> Page[CommentLine]:
    """List the comments on an issue or pull request, oldest first; get_comment reads a long one."""
    pages = LinkPages(size=10)
    path = "/repos/{}/{}/issues/{}/comments"
    return await api.page(path, owner, repo, number, into=CommentLine, pages=pages, cursor=cursor)


@github.read(toolset="issues")
async def get_comment(api: Api, owner: str, repo: str, comment_id: int) -> Comment:
    """Read one comment."""
    return await api.get("/repos/{}/{}/issues/comments/{}", owner, repo, comment_id, into=Comment)


MARK = once.Marker(field="body", text="\n\n<!-- {marker} -->")
"""GitHub has no idempotency key; a comment in HTML is not shown, and listings are up to date within seconds."""
RECENT = 100


async def _made(api: Api, owner: str, repo: str, marker: str) -> ChangedIssue | None:
    asked: dict[str, str | int] = {"state": "all", "sort": "created", "direction": "desc", "per_page": RECENT}
    found = await api.get("/repos/{}/{}/issues", owner, repo, query=asked)
    mine = [each for each in found if marker in (each.get("body") or "")]
    return await api.get("/repos/{}/{}/issues/{}", owner, repo, mine[0]["number"], into=ChangedIssue) if mine else None


async def _added(
    api: Api, owner: str, repo: str, number: int, *, marker: str, sent_at: float | None
) -> NewComment | None:
    since = datetime.fromtimestamp((sent_at or 0.0) - 300, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = "/repos/{}/{}/issues/{}/comments"
    found = await api.get(path, owner, repo, number, query={"since": since, "per_page": RECENT})
    mine = [each for each in found if marker in (each.get("body") or "")]
    return NewComment(id=mine[0]["id"], url=mine[0]["html_url"]) if mine else None


@github.write(toolset="issues", once=MARK, verify=once.Look(_made, after=5.0))
async def create_issue(
    api: Api,
    owner: str,
    repo: str,
    *,
    title: str,
    body: Annotated[str | None, Field(description="Markdown.")] = None,
    labels: list[str] | None = None,
    assignees: Annotated[list[str] | None, Field(description="Logins.")] = None,
) -> ChangedIssue:
    """Open an issue. People who watch the repository are notified."""
    given = _given(title=title, body=body, labels=labels, assignees=assignees)
    issue = await api.post("/repos/{}/{}/issues", owner, repo, json=given, into=ChangedIssue)
    return _checked(issue, labels, assignees)


@github.write(toolset="issues", once=once.NaturalKey())
async def update_issue(
    api: Api,
    owner: str,
    repo: str,
    number: int,
    *,
    title: str | None = None,
    body: Annotated[str | None, Field(description="Markdown; replaces the whole body.")] = None,
    state: Literal["open", "closed"] | None = None,
    state_reason: Literal["completed", "not_planned", "reopened"] | None = None,
    labels: Annotated[list[str] | None, Field(description="Replaces all labels.")] = None,
    assignees: Annotated[list[str] | None, Field(description="Logins; replaces all assignees.")] = None,
) -> ChangedIssue:
    """Change an issue or pull request: text, open or closed, labels, assignees. What is not given stays."""
    given = _given(title=title, body=body, state=state, state_reason=state_reason, labels=labels, assignees=assignees)
    if not given:
        raise errors.InvalidInputError("there is nothing to change.", next_step="Give at least one field to change.")
    issue = await api.patch("/repos/{}/{}/issues/{}", owner, repo, number, json=given, into=ChangedIssue)
    return _checked(issue, labels, assignees)


def _given(**fields: str | list[str] | None) -> dict[str, str | list[str]]:
    return {name: value for name, value in fields.items() if value is not None}


def _checked(issue: ChangedIssue, labels: list[str] | None, assignees: list[str] | None) -> ChangedIssue:
    """Without push access GitHub drops labels and assignees silently; the agent must not believe they are set."""
    wanted = {"label": (labels or [], issue.labels), "assignee": (assignees or [], issue.assignees)}
    missing = [
        f"{kind} {name}"
        for kind, (asked, there) in wanted.items()
        for name in asked
        if name.casefold() not in {each.casefold() for each in there}
    ]
    return issue.model_copy(update={"not_set": missing or None})


@github.write(toolset="issues", once=MARK, verify=once.Look(_added, after=5.0))
async def add_comment(
    api: Api, owner: str, repo: str, number: int, body: Annotated[str, Field(description="Markdown.")]
) -> NewComment:
    """Comment on an issue or pull request. Its participants are notified."""
    path = "/repos/{}/{}/issues/{}/comments"
    return await api.post(path, owner, repo, number, json={"body": body}, into=NewComment)


@github.destructive(preview=get_comment, toolset="issues", once=once.NaturalKey(done=("already_done", "not_found")))
async def delete_comment(api: Api, owner: str, repo: str, comment_id: int) -> None:
    """Delete a comment. It cannot be restored."""
    await api.delete("/repos/{}/{}/issues/comments/{}", owner, repo, comment_id)
