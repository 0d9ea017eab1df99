"""Pull requests: read with files and checks, open, merge."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from clew import Api, From, errors, once

from .excerpts import BODY_LENGTH, cut, length_over
from .provider import github

SHOWN = 30
"""Files and checks shown of one pull request."""


class PullRequest(BaseModel):
    """A pull request as it stands."""

    number: int
    title: str
    state: str
    draft: bool = False
    merged: bool
    mergeable_state: Annotated[
        str, Field(description="clean, blocked, behind, dirty (conflicts), unstable (checks fail), unknown (ask again)")
    ]
    author: Annotated[str | None, From("user.login")] = None
    head_ref: Annotated[str, From("head.ref")]
    head_sha: Annotated[str, From("head.sha")]
    base_ref: Annotated[str, From("base.ref")]
    commits: int
    changed_files: int
    additions: int
    deletions: int
    updated_at: str
    url: Annotated[str, From("html_url")]
    body: Annotated[str | None, cut(3000)] = None
    body_length: Annotated[int | None, From("body"), length_over(3000), BODY_LENGTH] = None


class ChangedFile(BaseModel):
    """A file that a pull request changes."""

    path: Annotated[str, From("filename")]
    previous_path: Annotated[str | None, From("previous_filename")] = None
    status: str
    additions: int
    deletions: int


class Check(BaseModel):
    """A check on a commit; `conclusion` is there once it is completed."""

    name: str
    status: str
    conclusion: str | None = None


class Checks(BaseModel):
    """The checks on a commit."""

    total: Annotated[int, From("total_count")]
    runs: Annotated[list[Check], From("check_runs")]


class Review(BaseModel):
    """A pull request with what it changes and what the checks say."""

    pull_request: PullRequest
    files: list[ChangedFile]
    files_omitted: int | None = None
    checks: list[Check] | None = None
    checks_omitted: int | None = None
    checks_unreadable: Annotated[str | None, Field(description="Why checks are missing here.")] = None


class NewPullRequest(BaseModel):
    """A pull request that was just opened."""

    number: int
    state: str
    draft: bool = False
    head_sha: Annotated[str, From("head.sha")]
    url: Annotated[str, From("html_url")]


class Merged(BaseModel):
    """The commit that a merge made."""

    merged: bool
    sha: str


@github.read(toolset="pulls")
async def get_pull_request(api: Api, owner: str, repo: str, number: int) -> Review:
    """Read a pull request with its changed files and check results."""
    pull = await api.get("/repos/{}/{}/pulls/{}", owner, repo, number, into=PullRequest)
    size = {"per_page": SHOWN}
    files = await api.get("/repos/{}/{}/pulls/{}/files", owner, repo, number, query=size, into=list[ChangedFile])
    review = Review(pull_request=pull, files=files, files_omitted=_over(pull.changed_files, len(files)))
    path = "/repos/{}/{}/commits/{}/check-runs"
    try:
        checks = await api.get(path, owner, repo, pull.head_sha, query=size, into=Checks)
    except (errors.PermissionDeniedError, errors.NotFoundError) as refused:
        return review.model_copy(update={"checks_unreadable": f"GitHub does not show them: {refused.code.value}."})
    return review.model_copy(update={"checks": checks.runs, "checks_omitted": _over(checks.total, len(checks.runs))})


def _over(total: int, shown: int) -> int | None:
    return total - shown if total > shown else None


async def _opened(api: Api, owner: str, repo: str, head: str, base: str) -> NewPullRequest | None:
    """GitHub takes one open pull request per head and base, so this is the one."""
    whole = head if ":" in head else f"{owner}:{head}"
    query = {"head": whole, "base": base, "state": "open"}
    found = await api.get("/repos/{}/{}/pulls", owner, repo, query=query, into=list[NewPullRequest])
    return found[0] if found else None


@github.write(toolset="pulls", once=once.NaturalKey(), verify=once.Look(_opened, after=3.0))
async def create_pull_request(
    api: Api,
    owner: str,
    repo: str,
    *,
    title: str,
    head: Annotated[str, Field(description='The branch with the changes; "owner:branch" when it is in a fork.')],
    base: Annotated[str, Field(description="The branch to merge into.")],
    body: Annotated[str | None, Field(description="Markdown.")] = None,
    draft: bool = False,
) -> NewPullRequest:
    """Open a pull request from an existing branch. Watchers and code owners are notified."""
    fields = {"title": title, "head": head, "base": base, "draft": draft}
    given = fields if body is None else {**fields, "body": body}
    return await api.post("/repos/{}/{}/pulls", owner, repo, json=given, into=NewPullRequest)


Sha = Annotated[
    str, Field(pattern="^[0-9a-f]{40}$", description="head_sha of get_pull_request: exactly this commit is merged.")
]
Method = Literal["merge", "squash", "rebase"]


@github.read(toolset="pulls")
async def preview_merge(
    api: Api, owner: str, repo: str, number: int, *, sha: Sha, method: Method = "merge"
) -> PullRequest:
    """Read what merge_pull_request with the same arguments would merge; fails when it could not."""
    pull = await api.get("/repos/{}/{}/pulls/{}", owner, repo, number, into=PullRequest)
    if pull.merged and pull.head_sha == sha:
        raise errors.AlreadyDoneError(f"pull request {number} is already merged.")
    if pull.head_sha != sha:
        raise errors.ConflictError(
            f"pull request {number} has another head by now than the given sha.",
            next_step="Read it again with get_pull_request, look at what is new, then decide.",
        )
    if pull.state != "open":
        raise errors.ConflictError(f"pull request {number} is closed.")
    return pull


class MergedPull(BaseModel):
    """What a pull request says about its merge."""

    merged: bool
    head: Annotated[str, From("head.sha")]
    sha: Annotated[str | None, From("merge_commit_sha")] = None


async def _merged(api: Api, owner: str, repo: str, number: int, sha: str) -> Merged | None:
    pull = await api.get("/repos/{}/{}/pulls/{}", owner, repo, number, into=MergedPull)
    return Merged(merged=True, sha=pull.sha or "") if pull.merged and pull.head == sha else None


@github.destructive(preview=preview_merge, toolset="pulls", once=once.Guarded(), verify=once.Look(_merged, after=3.0))
async def merge_pull_request(
    api: Api, owner: str, repo: str, number: int, *, sha: Sha, method: Method = "merge"
) -> Merged:
    """Merge a pull request into its base branch. It cannot be taken back."""
    body = {"sha": sha, "merge_method": method}
    return await api.put("/repos/{}/{}/pulls/{}/merge", owner, repo, number, json=body, into=Merged)
