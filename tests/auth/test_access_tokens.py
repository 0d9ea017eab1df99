"""What counts as a good access token, and what an authorization server is asked for it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from joserfc import jwk
from tests.attacks.issuer import Issuer, new_key, running

from clew.auth.access_tokens import (
    Accepted,
    IntrospectionVerifier,
    JwtVerifier,
    RefusedTokenError,
    Remembering,
    accepted,
)
from clew.auth.issuer_keys import IssuerKeys, IssuerOutageError
from clew.auth.oauth import Client
from clew.core.secret import Secret

pytestmark = pytest.mark.anyio
HERE = "https://mcp.example/mcp"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def issuer() -> AsyncGenerator[Issuer]:
    async with running(Issuer()) as made:
        yield made


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, http: httpx.AsyncClient, clock: Clock) -> IssuerKeys:
    return IssuerKeys(http, issuer.url, clock=clock)


async def test_a_good_token_says_who_and_for_whom(issuer: Issuer, keys: IssuerKeys) -> None:
    found = await JwtVerifier(keys, issuer.url).verify(Secret(issuer.token([HERE, "x"], scope="a b a")))
    assert (found.subject, found.client, found.scopes) == ("ann", "host", ("a", "b"))
    assert found.audiences == (HERE, "x")


@pytest.mark.parametrize("curve_and_algorithm", ["P-384 ES384", "P-521 ES512"])
async def test_other_curves_are_taken_with_their_algorithm(
    issuer: Issuer, keys: IssuerKeys, curve_and_algorithm: str
) -> None:
    curve, algorithm = curve_and_algorithm.split()
    issuer.keys = [new_key("other", curve)]
    verifier = JwtVerifier(keys, issuer.url)
    assert await verifier.verify(Secret(issuer.token(HERE, header={"alg": algorithm})))


async def test_an_edwards_key_is_taken_under_its_old_name(issuer: Issuer, keys: IssuerKeys) -> None:
    issuer.keys = [jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"})]
    token = issuer.token(HERE, header={"alg": "Ed25519"})
    assert await JwtVerifier(keys, issuer.url).verify(Secret(token))


CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "ended": ({"exp": 1}, "has ended"),
    "no end": ({"exp": None}, "lacks exp"),
    "an end that is none": ({"exp": "soon"}, "exp is no time"),
    "an endless end": ({"exp": 1e300}, "exp is no time"),
    "true as a time": ({"iat": True}, "iat is no time"),
    "not yet": ({"nbf": time.time() + 3600}, "not good yet"),
    "made tomorrow": ({"iat": time.time() + 86400}, "not good yet"),
    "another issuer": ({"iss": "https://evil.example"}, "another issuer"),
    "an issuer that is a list": ({"iss": ["x"]}, "another issuer"),
    "nobody": ({"sub": None}, "lacks sub"),
    "an empty subject": ({"sub": ""}, "whose it is"),
    "a subject that is a list": ({"sub": ["ann"]}, "whose it is"),
    "no client": ({"client_id": None}, "lacks client_id"),
    "no name of its own": ({"jti": None}, "lacks jti"),
    "bound to a key": ({"cnf": {"jkt": "x"}}, "bound to a key"),
}


@pytest.mark.parametrize("case", CLAIMS)
async def test_claims_that_do_not_fit(issuer: Issuer, keys: IssuerKeys, case: str) -> None:
    claims, why = CLAIMS[case]
    with pytest.raises(RefusedTokenError, match=why):
        await JwtVerifier(keys, issuer.url).verify(Secret(issuer.token(HERE, **claims)))


async def test_an_id_token_is_no_access_token_unless_the_operator_says_so(issuer: Issuer, keys: IssuerKeys) -> None:
    loose = {"header": {"typ": "JWT"}, "jti": None, "client_id": None}
    token = Secret(issuer.token(HERE, **loose))
    with pytest.raises(RefusedTokenError, match="by its type"):
        await JwtVerifier(keys, issuer.url).verify(token)
    found = await JwtVerifier(keys, issuer.url, strict=False).verify(token)
    assert found.client == ""


async def test_clocks_may_differ_by_a_minute(issuer: Issuer, keys: IssuerKeys) -> None:
    now = int(time.time())
    near = issuer.token(HERE, exp=now - 30, nbf=now + 30, iat=now + 30)
    assert await JwtVerifier(keys, issuer.url).verify(Secret(near))


async def test_keys_are_found_when_they_rotate_and_forgotten_when_they_are_taken_back(
    issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    verifier, old = JwtVerifier(keys, issuer.url), issuer.token(HERE)
    await verifier.verify(Secret(old))
    issuer.keys = [new_key("k2")]
    clock.now += 31
    await verifier.verify(Secret(issuer.token(HERE)))
    with pytest.raises(RefusedTokenError, match="does not have"):
        await verifier.verify(Secret(old))
    assert issuer.counts["jwks"] == 2


async def test_a_key_that_was_taken_back_is_noticed_though_nobody_shows_a_new_one(
    issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    verifier, old = JwtVerifier(keys, issuer.url), issuer.token(HERE)
    await verifier.verify(Secret(old))
    issuer.keys = [new_key("k2")]
    clock.now += 601
    with pytest.raises(RefusedTokenError, match="does not have"):
        await verifier.verify(Secret(old))


async def test_while_the_issuer_is_out_known_keys_are_good_for_a_day(
    issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    verifier = JwtVerifier(keys, issuer.url)
    await verifier.verify(Secret(issuer.token(HERE)))
    issuer.down = True
    clock.now += 3600
    await verifier.verify(Secret(issuer.token(HERE)))
    with pytest.raises(IssuerOutageError):
        await verifier.verify(Secret(issuer.token(HERE, header={"kid": "new"})))
    asked = issuer.counts["jwks"]
    await verifier.verify(Secret(issuer.token(HERE)))
    assert issuer.counts["jwks"] == asked, "a server that is out is not asked at every call"
    clock.now += 24 * 3600
    with pytest.raises(IssuerOutageError):
        await verifier.verify(Secret(issuer.token(HERE)))
    issuer.down = False
    clock.now += 6
    assert await verifier.verify(Secret(issuer.token(HERE)))


async def test_an_issuer_that_was_never_reached_is_an_outage_and_no_refusal(issuer: Issuer, keys: IssuerKeys) -> None:
    issuer.down = True
    with pytest.raises(IssuerOutageError):
        await JwtVerifier(keys, issuer.url).verify(Secret(issuer.token(HERE)))


async def test_without_a_kid_only_a_single_key_is_understood(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    verifier = JwtVerifier(keys, issuer.url)
    assert await verifier.verify(Secret(issuer.token(HERE, header={"kid": None})))
    issuer.keys.append(new_key("k2"))
    clock.now += 601
    with pytest.raises(RefusedTokenError, match="does not have"):
        await verifier.verify(Secret(issuer.token(HERE, header={"kid": None})))


@pytest.fixture
def introspection(issuer: Issuer, http: httpx.AsyncClient) -> IntrospectionVerifier:
    return IntrospectionVerifier(http, issuer.url, Client("clew", Secret("clew-secret")))


async def test_introspection_says_who_and_for_whom(issuer: Issuer, introspection: IntrospectionVerifier) -> None:
    found = await introspection.verify(Secret(issuer.opaque(HERE, scope="a b", iss=issuer.url)))
    assert (found.subject, found.scopes, found.audiences) == ("ann", ("a", "b"), (HERE,))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"active": False}, "not active"),
        ({"active": "true"}, "not active"),
        ({"exp": 1}, "has ended"),
        ({"exp": None}, "names no end"),
        ({"sub": None}, "whose it is"),
        ({"iss": "https://evil.example"}, "another issuer"),
    ],
)
async def test_introspection_that_does_not_fit(
    issuer: Issuer, introspection: IntrospectionVerifier, claims: dict[str, Any], why: str
) -> None:
    with pytest.raises(RefusedTokenError, match=why):
        await introspection.verify(Secret(issuer.opaque(HERE, **claims)))


async def test_introspection_that_is_out_is_an_outage(issuer: Issuer, introspection: IntrospectionVerifier) -> None:
    token = Secret(issuer.opaque(HERE))
    await introspection.verify(token)
    issuer.down = True
    with pytest.raises(IssuerOutageError):
        await introspection.verify(token)


async def test_answers_are_believed_for_seconds_and_never_past_the_tokens_end(
    issuer: Issuer, introspection: IntrospectionVerifier
) -> None:
    clock = Clock()
    clock.now = time.time()
    verifier = Remembering(introspection, clock)
    long, short = Secret(issuer.opaque(HERE)), Secret(issuer.opaque(HERE, exp=time.time() + 2))
    for token in (long, short, Secret("unknown")):
        for _ in range(3):
            try:
                await verifier.verify(token)
            except RefusedTokenError:
                assert token.reveal() == "unknown"
    assert issuer.counts["introspect"] == 3
    clock.now += 10
    issuer.active.clear()
    assert await verifier.verify(long)
    for token in (short, Secret("unknown")):
        with pytest.raises(RefusedTokenError):
            await verifier.verify(token)
    assert issuer.counts["introspect"] == 5
    clock.now += 31
    with pytest.raises(RefusedTokenError):
        await verifier.verify(long)


async def test_many_at_once_ask_once_and_one_who_leaves_takes_nothing_along(
    issuer: Issuer, introspection: IntrospectionVerifier
) -> None:
    verifier, token = Remembering(introspection), Secret(issuer.opaque(HERE))
    calls = [asyncio.create_task(verifier.verify(token)) for _ in range(20)]
    await asyncio.sleep(0)
    calls[0].cancel()
    found = await asyncio.gather(*calls[1:])
    assert {each.subject for each in found} == {"ann"}
    assert issuer.counts["introspect"] == 1


async def test_what_is_remembered_is_bounded(issuer: Issuer) -> None:
    class Agreeable:
        async def verify(self, token: Secret) -> Accepted:
            return accepted({"sub": "x", "exp": time.time() + 60}, "i", time.time())

    verifier = Remembering(Agreeable())
    for number in range(10_050):
        await verifier.verify(Secret(str(number)))
    assert len(vars(verifier)["_known"]) == 10_000
