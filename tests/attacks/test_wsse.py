"""Promises: the password of a SOAP service is in the one message that needs it and nowhere else, and no message is one
that was sent before. The service (spyne behind a check of our tests' own) repeats what it was sent when it refuses."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.descriptions.soap_caller import Caller
from tests.servers.descriptions.test_wsdl import WSDL, written

from clew.auth.wsse import UsernameToken
from clew.core.connector import Connector
from clew.core.errors import AuthRevokedError, Code, ConfigurationError
from clew.core.secret import Secret
from clew.servers.cli.trial import HeldCredential
from clew.servers.descriptions.live import open_soap

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
USER, CANARY = "ada&<b>", "canary&<hunter2>-canary"


@pytest.fixture(params=["text", "digest"], scope="module")
def desk(request: pytest.FixtureRequest) -> Iterator[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.servers.descriptions.soap_desk", "11", request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield f"soap:http://127.0.0.1:{port}/?wsdl#auth=wsse:{request.param}&name=desk"
        finally:
            process.terminate()


def held(connector: Connector, password: str = CANARY) -> HeldCredential:
    scheme = connector.schemes[0]
    assert isinstance(scheme, UsernameToken)
    return HeldCredential(scheme, {"username": Secret(USER), "password": Secret(password)})


def caller(desk: str, password: str = CANARY) -> Caller:
    connector = open_soap(desk.removeprefix("soap:"))
    return Caller(connector, held(connector, password))


async def test_a_service_that_checks_the_token_lets_each_message_in_once(desk: str) -> None:
    call = caller(desk)
    number = await call("create_ticket", subject="a&<b>", status="open")
    for _ in range(5):  # it refuses a nonce that it has seen
        assert (await call("get_ticket", id=number))["subject"] == "a&<b>"


async def test_a_wrong_password_is_said_and_not_shown(desk: str) -> None:
    error = await caller(desk, "wrong&<canary>-canary").failed("get_ticket", id=1)
    assert error.code is Code.AUTH_REVOKED
    assert "canary" not in error.as_text() + repr(error.__cause__)


async def test_what_the_service_repeats_is_hidden(desk: str) -> None:
    error = await caller(desk).failed("search_tickets", word="always-busy")
    assert error.code is Code.TRANSIENT
    assert "try again, [secret] [secret]" in (error.provider_message or "")
    assert not [word for word in ("canary", "hunter2", USER) if word in error.as_text()]


def run(home: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "CLEW_HOME": str(home), "CLEW_KEY_PROVIDER": "file"}
    command = [str(Path(sys.executable).with_name("clew")), *words]
    return subprocess.run(
        command, input=given, capture_output=True, text=True, env=environ, cwd=home, timeout=120, check=False
    )


def test_the_password_is_in_no_file_and_no_word_of_the_program(desk: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    said = [run(home, "auth", "set", desk, "--account", "main", given=f"{USER}\n{CANARY}\n")]
    assert said[0].returncode == 0, said[0].stderr
    for words in (
        ("search_tickets", "word=x"),
        ("search_tickets", "word=always-busy"),
        ("create_ticket", "subject=boom", "--yes"),
        ("create_ticket", "subject=fine", "--yes"),
    ):
        said.append(run(home, "call", desk, *words))
    said += [run(home, "auth", "status"), run(home, "audit", "--json"), run(home, "show", desk)]
    told = "".join(each.stdout + each.stderr for each in said)
    assert "canary" not in told
    assert "hunter2" not in told
    assert said[1].returncode == 0, said[1].stderr
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 2
    for path in files:
        assert b"hunter2" not in path.read_bytes(), path


def test_a_recorded_example_holds_the_message_without_the_token(desk: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    run(home, "auth", "set", desk, "--account", "main", given=f"{USER}\n{CANARY}\n")
    made = run(home, "record", desk, "search_tickets", "word=nothing", "--account", "main", "--into", "examples")
    files = [path for path in home.rglob("*.json") if b"searchTickets" in path.read_bytes()]
    assert files, made.stdout + made.stderr
    for path in files:
        text = path.read_text()
        assert json.loads(text)
        for word in ("hunter2", "UsernameToken", "Nonce", "PasswordDigest"):
            assert word not in text


POLICY = (
    '<w:Policy xmlns:w="http://www.w3.org/ns/ws-policy"><p:SupportingTokens xmlns:p='
    '"http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"><w:Policy>{inside}</w:Policy></p:SupportingTokens>'
    "</w:Policy><types>"
)


@pytest.mark.parametrize(
    ("inside", "scheme"),
    [
        ("<p:UsernameToken/>", UsernameToken()),
        ("<p:UsernameToken><w:Policy><p:HashPassword/></w:Policy></p:UsernameToken>", UsernameToken(digest=True)),
        ("<p:IncludeTimestamp/><p:UsernameToken/>", UsernameToken(timestamp=True)),
        ("<p:UsernameToken/><p:X509Token/>", None),
        ("<p:UsernameToken><w:Policy><p:NoPassword/></w:Policy></p:UsernameToken>", None),
    ],
)
def test_a_policy_says_how_to_log_in(tmp_path: Path, inside: str, scheme: UsernameToken | None) -> None:
    place = written(tmp_path, text=WSDL.replace("<types>", POLICY.format(inside=inside)))
    if scheme is None:
        with pytest.raises(ConfigurationError, match="only a UsernameToken"):
            open_soap(place)
        assert open_soap(f"{place}#auth=wsse").schemes
        return
    [found] = open_soap(place).schemes
    assert isinstance(found, UsernameToken)
    assert (found.digest, found.timestamp) == (scheme.digest, scheme.timestamp)
    assert "WS-Security" in found.help


def test_what_is_no_way_to_log_in_is_said_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="say wsse, wsse:digest, bearer, basic"):
        open_soap(written(tmp_path) + "#auth=wsse:md5")


async def test_a_password_that_no_message_can_hold_is_not_shown(desk: str) -> None:
    error = await caller(desk, "canary\0canary").failed("get_ticket", id=1)
    assert isinstance(error, AuthRevokedError)
    assert "canary" not in error.as_text()
