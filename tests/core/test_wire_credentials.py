"""A credential on the wire: applied anew, renewed once, and never heard of again."""

import base64
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from clew.core.credentials import IN_BODY, InBody
from clew.core.errors import (
    AuthRevokedError,
    CallError,
    InvalidInputError,
    PermissionDeniedError,
    TransientError,
)
from clew.core.outcomes import ErrorMap, Rule
from clew.core.secret import Secret
from clew.core.versions import Version

if TYPE_CHECKING:
    from tests.core.conftest import Line

pytestmark = pytest.mark.anyio

Serve = Callable[..., Awaitable[tuple[str, list[bytes]]]]
Build = Callable[..., bytes]


class Keys:
    """An authorizer that hands out `token-1`, and after each renewal the next one."""

    def __init__(self, *failures: CallError) -> None:
        self.failures = list(failures)
        self.renewed: list[str] = []
        self.number = 1

    async def apply(self, request: httpx.Request) -> str:
        assert "authorization" not in request.headers, "a credential of an earlier attempt is still on the request"
        request.headers["authorization"] = f"Bearer token-{self.number}"
        return f"generation-{self.number}"

    async def renew(self, generation: str) -> None:
        self.renewed.append(generation)
        if self.failures:
            raise self.failures.pop(0)
        self.number += 1


def sent(requests: list[bytes], header: str) -> list[str]:
    """The values of a header over all requests; missing is empty."""
    heads = [request.partition(b"\r\n\r\n")[0].decode() for request in requests]
    found = [re.findall(rf"(?im)^{header}: (.*?)\r?$", head) for head in heads]
    return [", ".join(values) for values in found]


async def test_the_credential_is_applied_anew_to_every_attempt(line: "Line", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(500), reply(429, retry_after="3"), reply(200, {"id": 1}))
    keys = Keys()
    answer = await line.ask(line.wire(url, keys), "GET", headers={"x-own": "1"})
    assert answer.data == {"id": 1}
    assert sent(requests, "authorization") == ["Bearer token-1"] * 3
    assert sent(requests, "x-own") == ["1"] * 3


async def test_a_refused_credential_is_renewed_once_and_the_request_repeated_once(
    line: "Line", serve: Serve, reply: Build
) -> None:
    for method in ("GET", "POST"):
        url, requests = await serve(reply(401), reply(200, {"id": 1}))
        keys = Keys()
        assert (await line.ask(line.wire(url, keys), method, content=b"{}")).data == {"id": 1}
        assert sent(requests, "authorization") == ["Bearer token-1", "Bearer token-2"]
        assert keys.renewed == ["generation-1"]
        assert requests[1].endswith(b"\r\n\r\n{}")
    assert line.clock.slept == []


async def test_a_credential_that_is_refused_after_renewal_ends_the_call(
    line: "Line", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(401, {"message": "bad", "code": "E1"}, x_request_id="r1"))
    keys = Keys()
    with pytest.raises(AuthRevokedError) as caught:
        await line.ask(line.wire(url, keys))
    assert len(requests) == 2
    assert keys.renewed == ["generation-1"]
    assert caught.value.message == "acme does not accept the credentials of account 'work', not even renewed ones."
    assert "--account work" in caught.value.next_step
    assert (caught.value.status, caught.value.provider_code, caught.value.request_id) == (401, "E1", "r1")


async def test_a_renewal_counts_for_the_whole_request_not_for_one_attempt(
    line: "Line", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(401), reply(503), reply(401))
    keys = Keys()
    with pytest.raises(AuthRevokedError, match="not even renewed"):
        await line.ask(line.wire(url, keys))
    assert len(requests) == 3
    assert keys.renewed == ["generation-1"]


async def test_without_credentials_a_refusal_is_final_at_once(line: "Line", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(401))
    with pytest.raises(AuthRevokedError, match="none are set"):
        await line.ask(line.wire(url))
    assert len(requests) == 1


async def test_while_the_authorization_server_is_out_the_refused_credential_is_not_sent_again(
    line: "Line", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(401), reply(200, {"id": 1}))
    keys = Keys(TransientError("out."), TransientError("still out."))
    assert (await line.ask(line.wire(url, keys))).data == {"id": 1}
    assert sent(requests, "authorization") == ["Bearer token-1", "Bearer token-2"]
    assert keys.renewed == ["generation-1"] * 3

    url, requests = await serve(reply(401))
    with pytest.raises(TransientError, match="out"):
        await line.ask(line.wire(url, Keys(*[TransientError("out.")] * 9)))
    assert len(requests) == 1


async def test_a_dead_grant_is_reported_as_the_authorizer_says_it(line: "Line", serve: Serve, reply: Build) -> None:
    url, requests = await serve(reply(401))
    with pytest.raises(AuthRevokedError, match="grant is gone"):
        await line.ask(line.wire(url, Keys(AuthRevokedError("the grant is gone."))))
    assert len(requests) == 1


class InEveryBody:
    """An authorizer that writes a number, new each time, and a secret into the body."""

    def __init__(self) -> None:
        self.count = 0

    async def apply(self, request: httpx.Request) -> str:
        self.count += 1
        secret = Secret(f"hunter2-{self.count}")
        content = b"<" + request.content + b"|" + secret.reveal().encode() + b">"
        request.extensions[IN_BODY] = InBody(content, (secret,))
        return "g"

    async def renew(self, generation: str) -> None:
        """It can."""


async def test_a_credential_in_the_body_is_written_anew_into_the_bare_body(
    line: "Line", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(503), reply(401), reply(200, {"id": 1}))
    await line.ask(line.wire(url, InEveryBody()), "GET", content=b"body")
    assert [request.partition(b"\r\n\r\n")[2] for request in requests] == [
        b"<body|hunter2-1>", b"<body|hunter2-2>", b"<body|hunter2-3>",
    ]  # fmt: skip
    assert sent(requests, "content-length") == ["16"] * 3


async def test_a_credential_in_the_body_does_not_come_back(line: "Line", serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(400, {"message": "what is hunter2-1?", "code": "hunter2-1"}, x_request_id="hunter2-1"))
    with pytest.raises(InvalidInputError) as caught:
        await line.ask(line.wire(url, InEveryBody()), "POST", content=b"body")
    assert "hunter2" not in caught.value.as_text() + repr(caught.value) + str(caught.value.request_id)
    assert caught.value.provider_message == "what is [secret]?"


class Applied:
    """An authorizer that does what it is told to."""

    def __init__(self, apply: Callable[[httpx.Request], None]) -> None:
        self.put = apply

    async def apply(self, request: httpx.Request) -> str:
        self.put(request)
        return "g"

    async def renew(self, generation: str) -> None:
        return


def in_a_header(request: httpx.Request) -> None:
    request.headers["x-api-key"] = "hunter2-key"


def as_bearer(request: httpx.Request) -> None:
    request.headers["authorization"] = "Bearer hunter2-key"


def as_basic(request: httpx.Request) -> None:
    word = base64.b64encode(b"ada@example.test:hunter2-key").decode()
    request.headers["authorization"] = f"Basic {word}"


def as_broken_basic(request: httpx.Request) -> None:
    request.headers["authorization"] = "Basic hunter2-key"


def as_named(request: httpx.Request) -> None:
    request.headers["authorization"] = "Token token=hunter2-key"


def as_quoted(request: httpx.Request) -> None:
    request.headers["authorization"] = 'MediaBrowser Token="hunter2-key"'


def in_the_query(request: httpx.Request) -> None:
    request.url = request.url.copy_set_param("key", "hunter2-key")


@pytest.mark.parametrize("put", [in_a_header, as_bearer, as_basic, as_broken_basic, as_named, as_quoted, in_the_query])
async def test_a_provider_that_repeats_the_key_cannot_show_it_to_the_agent(
    line: "Line", serve: Serve, reply: Build, put: Callable[[httpx.Request], None]
) -> None:
    echo = {"message": "the key hunter2-key (Bearer hunter2-key) is not valid", "code": "hunter2-key"}
    url, _ = await serve(reply(403, echo))
    with pytest.raises(PermissionDeniedError) as caught:
        await line.ask(line.wire(url, Applied(put)))
    assert "hunter2" not in caught.value.as_text()
    assert caught.value.provider_code == "[secret]"


async def test_a_key_in_the_query_is_not_in_the_url_that_rules_and_pages_see(
    line: "Line", serve: Serve, reply: Build
) -> None:
    url, requests = await serve(reply(200, {}))
    wire = line.wire(url, Applied(in_the_query), version=Version("1", parameter="v"))
    answer = await line.ask(wire, params={"q": "x", "page": "2"})
    assert b"key=hunter2-key" in requests[0]
    assert answer.url == f"{url}/notes?q=x&page=2&v=1"
    assert wire.secret_parameters == {"key"}


async def test_ordinary_words_are_not_torn_apart_for_a_short_secret(line: "Line", serve: Serve, reply: Build) -> None:
    def short(request: httpx.Request) -> None:
        request.headers["authorization"] = "Bearer abc"

    url, _ = await serve(reply(403, {"message": "the abc of rights"}))
    with pytest.raises(PermissionDeniedError) as caught:
        await line.ask(line.wire(url, Applied(short)))
    assert caught.value.provider_message == "the abc of rights"


async def test_a_rule_that_says_the_grant_is_dead_names_the_command(line: "Line", serve: Serve, reply: Build) -> None:
    url, _ = await serve(reply(403, {"code": "account_gone"}))
    errors = ErrorMap(rules=(Rule(code="auth_revoked", status=403, body={"code": "account_gone"}),))
    with pytest.raises(AuthRevokedError) as caught:
        await line.ask(line.wire(url, errors=errors))
    assert caught.value.next_step == "Ask the person to run: clew auth set acme --account work"
