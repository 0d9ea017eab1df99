"""Class E: each way to ask for a token anew, as the providers describe it."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx
from joserfc import jwt
from joserfc.jwk import RSAKey

from clew.auth.answers import Grant, Refusal
from clew.auth.endpoints import Assertion, TokenAnswer, Variable
from clew.auth.facts import Facts
from clew.auth.minting import MINTERS, mint
from clew.auth.schemes import AnyScheme, ClientCredentials, JwtBearer, Minted, SessionLogin, TokenExchange
from clew.core.secret import Secret

from .material import Held, ec_key, rsa_key

pytestmark = pytest.mark.anyio

BASE_URL = "https://api.acme.example"
TOKEN = {"access_token": "minted-1", "expires_in": 3600, "refresh_token": "unwanted"}


@pytest.fixture
def server() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        yield router.post(url__regex=r".*").respond(json=TOKEN)


async def minted(scheme: AnyScheme, held: Held) -> Grant | Refusal:
    async with httpx.AsyncClient(verify=False) as http:
        return await mint(http, held, scheme, base_url=BASE_URL, seconds=5)


def sent(route: respx.Route) -> dict[str, str]:
    form = parse_qs(route.calls.last.request.content.decode())
    return {name: values[0] for name, values in form.items()}


def claims(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    decoded = jwt.decode(token, RSAKey.import_key(rsa_key()), algorithms=["RS256"])
    return decoded.header, decoded.claims


async def test_a_google_service_account_signs_its_grant(server: respx.Route) -> None:
    scheme = JwtBearer(
        token_url="https://oauth2.googleapis.com/token",
        scopes=("https://www.googleapis.com/auth/calendar", "openid"),
        assertion=Assertion(
            issuer="{client_email}", subject="{subject}", seconds=3600, scope_claim="scope", unique=False
        ),
    )
    variables = {"client_email": "robot@p.iam.gserviceaccount.com", "key_id": "k1", "subject": "ada@acme.example"}
    held = Held(Facts(scheme.kind, variables=variables), {"private_key": Secret(rsa_key())})
    answer = await minted(scheme, held)
    assert isinstance(answer, Grant)
    assert (answer.access_token, answer.refresh_token) == (Secret("minted-1"), None)
    form = sent(server)
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert "scope" not in form
    header, said = claims(form["assertion"])
    assert (header["alg"], header["kid"]) == ("RS256", "k1")
    assert (said["iss"], said["sub"]) == (variables["client_email"], variables["subject"])
    assert said["aud"] == "https://oauth2.googleapis.com/token"
    assert said["scope"] == "https://www.googleapis.com/auth/calendar openid"
    assert said["exp"] - said["iat"] == 3600


async def test_without_a_subject_the_claim_is_left_out(server: respx.Route) -> None:
    scheme = JwtBearer(token_url="{base_url}/token", assertion=Assertion(issuer="x", subject="{subject}"))
    await minted(scheme, Held(Facts(scheme.kind), {"private_key": Secret(rsa_key())}))
    assert "sub" not in claims(sent(server)["assertion"])[1]


async def test_a_github_app_gets_its_installation_token(server: respx.Route) -> None:
    ends = "2099-01-01T00:00:00Z"
    server.respond(201, json={"token": "ghs_1", "expires_at": ends, "permissions": {"issues": "write"}})
    scheme = SessionLogin(
        token_url="{base_url}/app/installations/{installation}/access_tokens",
        secrets=("private_key",),
        token_headers={"Authorization": "Bearer {assertion}", "Accept": "application/vnd.github+json"},
        assertion=Assertion(
            issuer="{client_id}", subject="", audience="", seconds=540, backdate_seconds=60, unique=False
        ),
        body_format="json",
        answer=TokenAnswer(access_token="token", expires="expires_at", expires_unit="date"),
    )
    facts = Facts(scheme.kind, client_id="Iv23x", variables={"installation": "42"})
    answer = await minted(scheme, Held(facts, {"private_key": Secret(rsa_key())}))
    assert isinstance(answer, Grant)
    assert answer.access_token == Secret("ghs_1")
    assert answer.expires_at == 4070908800
    request = server.calls.last.request
    assert request.url.path == "/app/installations/42/access_tokens"
    _, said = claims(request.headers["authorization"].removeprefix("Bearer "))
    assert said["iss"] == "Iv23x"
    assert "sub" not in said
    assert "aud" not in said
    assert said["exp"] - said["iat"] == 600
    assert said["iat"] <= time.time() - 59


async def test_a_session_login_posts_the_credentials_and_takes_the_token(server: respx.Route) -> None:
    server.respond(json={"session": {"id": "s-1", "ttl_ms": 60_000}})
    scheme = SessionLogin(
        token_url="{base_url}/login",
        token_parameters={"user": "{username}", "pass": "{password}", "company": "{company}"},
        body_format="json",
        answer=TokenAnswer(access_token="session.id", expires="session.ttl_ms", expires_unit="ms"),
    )
    held = Held(
        Facts(scheme.kind, variables={"company": "acme"}), {"username": Secret("ada"), "password": Secret('p"&{x}')}
    )
    answer = await minted(scheme, held)
    assert isinstance(answer, Grant)
    assert answer.access_token == Secret("s-1")
    assert answer.expires_at is not None
    assert 50 < answer.expires_at - time.time() < 61
    assert json.loads(server.calls.last.request.content) == {"user": "ada", "pass": 'p"&{x}', "company": "acme"}


async def test_a_session_login_may_use_http_basic(server: respx.Route) -> None:
    scheme = SessionLogin(token_url="{base_url}/login", basic=("username", "password"))
    await minted(scheme, Held(Facts(scheme.kind), {"username": Secret("ada"), "password": Secret("pw")}))
    assert server.calls.last.request.headers["authorization"] == "Basic " + base64.b64encode(b"ada:pw").decode()


async def test_client_credentials_may_be_a_signed_assertion(server: respx.Route) -> None:
    scheme = ClientCredentials(token_url="{base_url}/token", client_auth="private_key_jwt", scopes=("a", "b"))
    held = Held(Facts(scheme.kind, client_id="me", variables={"key_id": "k"}), {"private_key": Secret(rsa_key())})
    tokens: set[str] = set()
    for _ in range(2):
        await minted(scheme, held)
        form = sent(server)
        assert (form["grant_type"], form["scope"], form["client_id"]) == ("client_credentials", "a b", "me")
        _, said = claims(form["client_assertion"])
        assert (said["iss"], said["sub"], said["aud"]) == ("me", "me", "https://api.acme.example/token")
        tokens.add(said["jti"])
    assert len(tokens) == 2  # providers refuse a jti that they have seen


async def test_an_identity_token_in_a_file_is_read_anew_for_each_exchange(server: respx.Route, tmp_path: Path) -> None:
    scheme = TokenExchange(token_url="{base_url}/sts", audience="//iam/{pool}", scopes=("cloud",))
    file = tmp_path / "token"
    held = Held(Facts(scheme.kind, variables={"identity_file": str(file), "pool": "p1"}))
    for generation in ("first", "second"):
        replacement = tmp_path / "new"
        replacement.write_text(f"{generation}.{'x'}.y\n", encoding="utf-8")
        replacement.replace(file)  # as a kubelet does
        assert isinstance(await minted(scheme, held), Grant)
        assert sent(server) == {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": f"{generation}.x.y",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "audience": "//iam/p1",
            "scope": "cloud",
        }


def unsigned(**said: object) -> str:
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in ({}, said, {}))


@pytest.mark.parametrize(
    ("content", "verdict", "code"),
    [
        (None, "misconfigured", "identity_file"),
        ("", "outage", "no_identity_token"),
        ("a b", "outage", "no_identity_token"),
        ("a\nb", "outage", "no_identity_token"),
        (unsigned(exp=1), "outage", "identity_token_ended"),
    ],
)
async def test_an_identity_token_that_is_no_good_is_never_sent(
    server: respx.Route, tmp_path: Path, content: str | None, verdict: str, code: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    scheme = TokenExchange(token_url="{base_url}/sts")
    answer = await minted(scheme, Held(Facts(scheme.kind, variables={"identity_file": str(file)})))
    assert isinstance(answer, Refusal)
    assert (answer.verdict, answer.code) == (verdict, code)
    assert server.call_count == 0


async def test_an_identity_token_may_come_from_an_address(tmp_path: Path) -> None:
    scheme = TokenExchange(token_url="{base_url}/sts")
    url = "https://ci.example/token?audience=x"
    facts = Facts(scheme.kind, variables={"identity_url": url, "identity_header": "Authorization: bearer ci"})
    with respx.mock:
        source = respx.get(url).respond(json={"value": "from.ci.x"})
        endpoint = respx.post(f"{BASE_URL}/sts").respond(json=TOKEN)
        assert isinstance(await minted(scheme, Held(facts)), Grant)
    assert source.calls.last.request.headers["authorization"] == "bearer ci"
    assert sent(endpoint)["subject_token"] == "from.ci.x"


async def test_an_identity_is_not_fetched_over_plain_http_from_elsewhere(server: respx.Route) -> None:
    scheme = TokenExchange(token_url="{base_url}/sts")
    answer = await minted(scheme, Held(Facts(scheme.kind, variables={"identity_url": "http://evil.example/"})))
    assert isinstance(answer, Refusal)
    assert (answer.verdict, server.call_count) == ("misconfigured", 0)


@pytest.mark.parametrize("key", ["nonsense", "", ec_key()])
async def test_a_key_that_cannot_sign_is_the_operators_business_and_is_not_shown(server: respx.Route, key: str) -> None:
    scheme = JwtBearer(token_url="{base_url}/token")
    answer = await minted(scheme, Held(Facts(scheme.kind), {"private_key": Secret(key)}))
    assert isinstance(answer, Refusal)
    assert answer.verdict == "misconfigured"
    assert not key or key not in answer.message
    assert server.call_count == 0


async def test_a_pem_key_with_its_line_breaks_spelled_out_works(server: respx.Route) -> None:
    scheme = JwtBearer(token_url="{base_url}/token")
    spelled = rsa_key().replace("\n", "\\n")
    assert isinstance(await minted(scheme, Held(Facts(scheme.kind), {"private_key": Secret(spelled)})), Grant)


async def test_a_variable_cannot_lead_the_secret_to_another_host(server: respx.Route) -> None:
    scheme = ClientCredentials(
        token_url="https://{shop}.example/token", variables={"shop": Variable(pattern=r"[a-z0-9-]+")}
    )
    for shop in ("evil.example/x?", "a@evil", "..", "", "a/b"):
        held = Held(Facts(scheme.kind, client_id="c", variables={"shop": shop}), {"client_secret": Secret("s")})
        answer = await minted(scheme, held)
        assert isinstance(answer, Refusal), shop
        assert answer.verdict == "misconfigured"
    assert server.call_count == 0


async def test_an_end_in_time_before_sending_is_kept(server: respx.Route) -> None:
    scheme = ClientCredentials(token_url="{base_url}/token")
    held = Held(Facts(scheme.kind, client_id="c"), {"client_secret": Secret("s")})
    async with httpx.AsyncClient(verify=False) as http:
        answer = await mint(http, held, scheme, base_url=BASE_URL, seconds=5, send_before=time.monotonic() - 1)
    assert isinstance(answer, Refusal)
    assert (answer.code, server.call_count) == ("too_late", 0)


def test_every_scheme_that_can_be_minted_has_a_minter() -> None:
    from typing import get_args

    assert set(MINTERS) == {scheme.kind for scheme in get_args(Minted)}
