"""What GitHub's refusals mean: every rule, through the whole walk."""

import time
from typing import Annotated, Any

import httpx
import pytest
import respx
from pydantic import BaseModel
from tests.connectors.calling import Calling

from clew import Api, Connector, From
from clew.connectors.github import github
from clew.core.errors import CallError, Code, Outcome, Retry

pytestmark = pytest.mark.anyio


HERE = {"owner": "octocat", "repo": "Hello-World"}
REPO = "/repos/octocat/Hello-World"
SSO = "https://github.com/orgs/octo/sso?authorization_request=AZSCKtL4U8yX"


async def read_refused(call: Calling) -> CallError:
    with pytest.raises(CallError) as caught:
        await call(github, "get_issue", {**HERE, "number": 1})
    return caught.value


async def write_refused(call: Calling) -> CallError:
    with pytest.raises(CallError) as caught:
        await call(github, "create_issue", {**HERE, "title": "Found a bug"})
    return caught.value


def answer(
    router: respx.MockRouter, status: int, message: str = "", headers: dict[str, str] | None = None, **more: Any
) -> respx.Route:
    documentation = "https://docs.github.com/rest/issues?apiVersion=2022-11-28"
    body = {"message": message, "documentation_url": documentation, "status": str(status), **more}
    return router.route().respond(status, json=body, headers={"x-github-request-id": "E1F2:3", **(headers or {})})


def budget(remaining: int, seconds: float, **more: str) -> dict[str, str]:
    return {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(time.time() + seconds)),
        "x-ratelimit-resource": "core",
        **more,
    }


async def test_bad_credentials_that_cannot_be_renewed_ask_for_a_person(
    call: Calling, api_github: respx.MockRouter
) -> None:
    route = answer(api_github, 401, "Bad credentials")
    error = await read_refused(call)
    assert (error.code, error.retry) == (Code.AUTH_REVOKED, Retry.AFTER_HUMAN)
    assert "clew auth" in error.next_step
    assert route.call_count == 2  # once as stored, once renewed, never in a loop
    assert error.request_id == "E1F2:3"


async def test_a_demand_for_a_one_time_password_is_not_answered_by_renewing(
    call: Calling, api_github: respx.MockRouter
) -> None:
    route = answer(api_github, 401, "Must specify two-factor", {"X-GitHub-OTP": "required; app"})
    error = await read_refused(call)
    assert error.code is Code.AUTH_REVOKED
    assert "one-time password" in error.message
    assert route.call_count == 1


async def test_a_lock_after_many_bad_logins_stops_the_calls(call: Calling, api_github: respx.MockRouter) -> None:
    answer(api_github, 403, "Maximum number of login attempts exceeded. Please try again later.", budget(0, 100))
    error = await read_refused(call)
    assert error.code is Code.AUTH_REVOKED
    assert error.next_step.startswith("Stop calling")


@pytest.mark.parametrize("status", [403, 429])
async def test_a_spent_budget_says_when_it_is_full_again(
    call: Calling, api_github: respx.MockRouter, status: int
) -> None:
    answer(api_github, status, "API rate limit exceeded for user ID 1.", budget(0, 600))
    error = await write_refused(call)
    assert (error.code, error.outcome) == (Code.RATE_LIMITED, Outcome.NOT_APPLIED)
    assert error.retry_after is not None
    assert 598 <= error.retry_after <= 602


async def test_a_spent_budget_without_a_time_waits_a_minute(call: Calling, api_github: respx.MockRouter) -> None:
    answer(api_github, 403, "API rate limit exceeded for 192.0.2.1.")
    error = await read_refused(call)
    assert (error.code, error.retry_after) == (Code.RATE_LIMITED, 60.0)


async def test_a_refusal_in_other_words_on_an_empty_budget_is_a_rate_limit(
    call: Calling, api_github: respx.MockRouter
) -> None:
    answer(api_github, 403, "Forbidden", budget(0, 600))
    assert (await read_refused(call)).code is Code.RATE_LIMITED


async def test_a_budget_spent_by_one_call_holds_back_the_next_before_it_leaves(
    call: Calling, api_github: respx.MockRouter
) -> None:
    route = answer(api_github, 403, "API rate limit exceeded", budget(0, 600))
    wire = call.wire(github)
    for _ in range(2):
        with pytest.raises(CallError) as caught:
            await call(github, "get_issue", {**HERE, "number": 1}, wire=wire)
        assert caught.value.code is Code.RATE_LIMITED
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."),
        (429, "You have exceeded a secondary rate limit."),
        (403, "You have triggered an abuse detection mechanism."),
        (403, "was submitted too quickly"),
    ],
)
async def test_a_secondary_limit_with_budget_left_waits_a_minute(
    call: Calling, api_github: respx.MockRouter, status: int, message: str
) -> None:
    answer(api_github, status, message, budget(4000, 600))
    error = await write_refused(call)
    assert (error.code, error.retry_after) == (Code.RATE_LIMITED, 60.0)
    assert "too fast" in error.message
    assert error.outcome is Outcome.NOT_APPLIED


async def test_a_secondary_limit_that_says_how_long_is_believed(call: Calling, api_github: respx.MockRouter) -> None:
    answer(api_github, 403, "You have exceeded a secondary rate limit.", budget(4000, 600, **{"retry-after": "17"}))
    assert (await read_refused(call)).retry_after == 17.0


async def test_a_missing_permission_is_named(call: Calling, api_github: respx.MockRouter) -> None:
    rights = {"X-Accepted-GitHub-Permissions": "issues=write,pull_requests=write; issues=read"}
    answer(api_github, 403, "Resource not accessible by integration", {**budget(4000, 600), **rights})
    error = await write_refused(call)
    assert (error.code, error.retry, error.outcome) == (Code.PERMISSION, Retry.AFTER_HUMAN, Outcome.NOT_APPLIED)
    assert "issues=write,pull_requests=write; issues=read" in error.next_step


async def test_a_missing_scope_is_named_beside_those_the_token_has(call: Calling, api_github: respx.MockRouter) -> None:
    scopes = {"X-Accepted-OAuth-Scopes": "repo", "X-OAuth-Scopes": "gist, read:org"}
    answer(api_github, 403, "Must have admin rights to Repository.", scopes)
    next_step = (await read_refused(call)).next_step
    assert "scopes: repo; it has: gist, read:org" in next_step


@pytest.mark.parametrize("named", [{}, {"X-Accepted-OAuth-Scopes": ""}, {"X-Accepted-GitHub-Permissions": "<b>x</b>"}])
async def test_rights_that_are_not_named_or_not_names_are_not_repeated(
    call: Calling, api_github: respx.MockRouter, named: dict[str, str]
) -> None:
    answer(api_github, 403, "Resource not accessible by personal access token", named)
    error = await read_refused(call)
    assert error.code is Code.PERMISSION
    assert error.next_step == "Ask the person to grant the missing right, or use another account."


async def test_the_last_call_of_a_budget_can_still_lack_a_permission(
    call: Calling, api_github: respx.MockRouter
) -> None:
    answer(api_github, 403, "Resource not accessible by integration", budget(0, 600))
    assert (await read_refused(call)).code is Code.PERMISSION


async def test_single_sign_on_hands_the_link_to_the_person(call: Calling, api_github: respx.MockRouter) -> None:
    answer(
        api_github,
        403,
        "Resource protected by organization SAML enforcement.",
        {"X-GitHub-SSO": f"required; url={SSO}", **budget(0, 600)},
    )
    error = await read_refused(call)
    assert (error.code, error.url) == (Code.ACTION_REQUIRED, SSO)


@pytest.mark.parametrize(
    ("status", "message", "code", "words"),
    [
        (403, "Repository access blocked", Code.PERMISSION, "has blocked"),
        (403, "Sorry. Your account was suspended.", Code.PERMISSION, "has blocked"),
        (403, "Although you appear to have the correct authorization …", Code.PERMISSION, "does not allow"),
        (
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            Code.INTERNAL,
            "User-Agent",
        ),
        (404, "Not Found", Code.NOT_FOUND, "or hides it"),
        (409, "Git Repository is empty.", Code.CONFLICT, "another state"),
        (410, "Issues are disabled for this repo", Code.CONFLICT, "turned off"),
        (410, "Issues has been disabled in this repository.", Code.CONFLICT, "turned off"),
        (410, "This issue was deleted", Code.NOT_FOUND, "was deleted"),
        (410, "This API version is no longer available", Code.CONTRACT_CHANGED, "no longer supports"),
        (410, "This endpoint has been deprecated and removed", Code.CONTRACT_CHANGED, "no longer supports"),
        (400, "X-GitHub-Api-Version: 2022-11-28 is not a supported version", Code.CONTRACT_CHANGED, "no longer supp"),
        (400, "Problems parsing JSON", Code.INVALID_INPUT, "rejected"),
        (400, "Body should be a JSON object", Code.INVALID_INPUT, "rejected"),
        (400, "Bad Request", Code.INVALID_INPUT, "rejected"),
        (451, "Repository access blocked", Code.PERMISSION, "legal"),
        (422, "Only the first 1000 search results are available", Code.INVALID_INPUT, "first 1000"),
    ],
)
async def test_a_refusal_is_told_by_its_words(
    call: Calling, api_github: respx.MockRouter, status: int, message: str, code: Code, words: str
) -> None:
    answer(api_github, status, message)
    for error in (await read_refused(call), await write_refused(call)):
        assert (error.code, error.outcome) == (code, Outcome.NOT_APPLIED)
        assert words in error.message
        assert error.provider_message == message


async def test_not_found_names_both_things_it_can_mean(call: Calling, api_github: respx.MockRouter) -> None:
    answer(api_github, 404, "Not Found")
    next_step = (await read_refused(call)).next_step
    assert "Check owner, repo and number" in next_step
    assert "access" in next_step


async def test_a_file_over_the_limit_of_the_api_is_an_error_of_the_input(
    call: Calling, api_github: respx.MockRouter
) -> None:
    answer(api_github, 403, "This API returns blobs up to 100 MB in size.", errors=[{"code": "too_large"}])
    with pytest.raises(CallError) as caught:
        await call(github, "get_file", {**HERE, "path": "movie"})
    assert caught.value.code is Code.INVALID_INPUT


async def test_wrong_fields_are_named(call: Calling, api_github: respx.MockRouter) -> None:
    faults = [
        {"resource": "Issue", "field": "title", "code": "missing_field"},
        {"resource": "Issue", "field": "labels", "code": "already_exists"},
        {"resource": "Issue", "field": "<b>", "code": "custom", "message": "nonsense"},
        {"resource": "Issue", "field": "body", "code": "not a code"},
    ]
    answer(api_github, 422, "Validation Failed", errors=faults)
    error = await write_refused(call)
    assert error.code is Code.INVALID_INPUT
    assert error.message == ("github rejected the arguments: title (missing_field), labels (already_exists), custom.")
    assert error.provider_code == "missing_field"


async def test_the_reason_inside_a_failed_validation_is_the_providers_message(
    call: Calling, api_github: respx.MockRouter
) -> None:
    answer(api_github, 422, "Validation Failed", errors=[{"code": "custom", "message": "No commits between a and b"}])
    assert (await write_refused(call)).provider_message == "No commits between a and b"
    answer(api_github, 422, "Validation Failed", errors=["Could not resolve to a node"])
    error = await write_refused(call)
    assert (error.code, error.provider_message) == (Code.INVALID_INPUT, "Could not resolve to a node")


@pytest.mark.parametrize(
    "fault",
    [
        {"resource": "Label", "field": "name", "code": "already_exists"},
        {
            "resource": "PullRequest",
            "code": "custom",
            "message": "A pull request already exists for octocat:new-topic.",
        },
    ],
)
async def test_what_already_exists_is_already_done(
    call: Calling, api_github: respx.MockRouter, fault: dict[str, str]
) -> None:
    answer(api_github, 422, "Validation Failed", errors=[fault])
    error = await write_refused(call)
    assert (error.code, error.outcome, error.retry) == (Code.ALREADY_DONE, Outcome.APPLIED, Retry.NO)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("headers", [{}, {"retry-after": "1"}])
async def test_a_fault_is_passing_for_a_read_and_unknown_for_a_write(
    call: Calling, api_github: respx.MockRouter, status: int, headers: dict[str, str]
) -> None:
    route = answer(api_github, status, "Server Error", headers)
    read = await read_refused(call)
    assert (read.code, read.outcome, route.call_count) == (Code.TRANSIENT, Outcome.NOT_APPLIED, 2)
    write = await write_refused(call)
    assert (write.code, write.outcome, route.call_count) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN, 2 + 1)


async def test_a_page_of_html_from_the_edge_is_not_shown(call: Calling, api_github: respx.MockRouter) -> None:
    api_github.route().respond(502, html="<html><body><h1>Unicorn!</h1></body></html>")
    error = await read_refused(call)
    assert error.code is Code.TRANSIENT
    assert "Unicorn" not in error.as_text()


async def test_html_instead_of_an_issue_is_never_taken_for_one(call: Calling, api_github: respx.MockRouter) -> None:
    api_github.route().respond(200, content=b"<html>", headers={"content-type": "application/json"})
    assert (await read_refused(call)).code is Code.CONTRACT_CHANGED
    assert (await write_refused(call)).code is Code.OUTCOME_UNKNOWN


async def test_a_lost_answer_leaves_a_write_unknown_and_is_not_repeated(
    call: Calling, api_github: respx.MockRouter
) -> None:
    route = api_github.post(f"{REPO}/issues").mock(side_effect=httpx.ReadTimeout)
    error = await write_refused(call)
    assert (error.code, error.outcome, route.call_count) == (Code.OUTCOME_UNKNOWN, Outcome.UNKNOWN, 1)


async def test_a_renamed_repository_is_followed_by_reads_and_reported_to_writes(
    call: Calling, api_github: respx.MockRouter
) -> None:
    moved = {"location": "https://api.github.com/repositories/1296269/issues"}
    api_github.post(f"{REPO}/issues").respond(307, json={"message": "Moved Permanently"}, headers=moved)
    error = await write_refused(call)
    assert (error.code, error.outcome) == (Code.NOT_FOUND, Outcome.NOT_APPLIED)
    assert "has moved" in error.message
    api_github.get(f"{REPO}/issues").respond(301, json={}, headers=moved)
    followed = api_github.get("/repositories/1296269/issues").respond(json=[])
    assert (await call(github, "list_issues", HERE))["items"] == []
    assert followed.calls.last.request.headers["authorization"] == "Bearer a-token"


async def test_a_read_is_not_led_to_another_host(call: Calling, api_github: respx.MockRouter) -> None:
    answer(api_github, 302, "Found", {"location": "https://evil.example/issues"})
    assert (await read_refused(call)).code is Code.CONTRACT_CHANGED


class Viewer(BaseModel):
    """Whose credentials these are."""

    name: Annotated[str, From("login")]


asking = Connector("github", base_url="https://api.github.com", errors=github.errors, rate_limits=github.rate_limits)


@asking.read
async def viewer(api: Api) -> Viewer:
    """Ask over GraphQL."""
    return await api.graphql("query { viewer { login } }", into=Viewer, at="viewer")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("RATE_LIMITED", Code.RATE_LIMITED),
        ("RATE_LIMIT", Code.RATE_LIMITED),
        ("FORBIDDEN", Code.PERMISSION),
        ("INSUFFICIENT_SCOPES", Code.PERMISSION),
        ("NOT_FOUND", Code.NOT_FOUND),
        ("MAX_NODE_LIMIT_EXCEEDED", Code.INVALID_INPUT),
    ],
)
async def test_a_graphql_error_behind_a_200_is_told_by_its_type(
    call: Calling, api_github: respx.MockRouter, kind: str, code: Code
) -> None:
    api_github.post("/graphql").respond(json={"data": None, "errors": [{"type": kind, "message": "No."}]})
    with pytest.raises(CallError) as caught:
        await call(asking, "viewer", {})
    assert (caught.value.code, caught.value.provider_code) == (code, kind)


async def test_a_graphql_answer_without_errors_is_a_result(call: Calling, api_github: respx.MockRouter) -> None:
    api_github.post("/graphql").respond(json={"data": {"viewer": {"login": "octocat"}}})
    assert await call(asking, "viewer", {}) == {"name": "octocat"}


async def test_no_error_shows_the_token(call: Calling, api_github: respx.MockRouter) -> None:
    for status in (401, 403, 404, 422, 500):
        answer(api_github, status, "No.")
        for error in (await read_refused(call), await write_refused(call)):
            assert "a-token" not in error.as_text() + repr(error.as_dict())
