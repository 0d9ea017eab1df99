"""Workflow runs of GitHub Actions."""

from typing import Annotated, Literal

from pydantic import BaseModel

from clew import Api, From, LinkPages, Page

from .provider import Cursor, github

Status = Literal[
    "queued", "in_progress", "completed", "success", "failure", "cancelled", "timed_out", "action_required"
]


class Run(BaseModel):
    """A workflow run; `conclusion` is there once it is completed."""

    id: int
    workflow: Annotated[str | None, From("name")] = None
    title: Annotated[str | None, From("display_title")] = None
    run_number: int
    event: str
    status: str | None = None
    conclusion: str | None = None
    branch: Annotated[str | None, From("head_branch")] = None
    sha: Annotated[str, From("head_sha")]
    created_at: str
    url: Annotated[str, From("html_url")]


@github.read(toolset="actions")
async def list_workflow_runs(
    api: Api,
    owner: str,
    repo: str,
    *,
    branch: str | None = None,
    status: Status | None = None,
    cursor: Cursor = None,
) -> Page[Run]:
    """List a repository's workflow runs, newest first."""
    return await api.page(
        "/repos/{}/{}/actions/runs",
        owner,
        repo,
        into=Run,
        pages=LinkPages(size=20, items="workflow_runs"),
        query={"branch": branch, "status": status},
        cursor=cursor,
    )
