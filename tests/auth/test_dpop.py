"""Proofs of possession, and the nonces in them."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
from joserfc import jwt
from joserfc.jwk import ECKey

from clew.auth import dpop
from clew.auth.answers import Grant, Refusal
from clew.auth.exchange import exchange
from clew.auth.oauth import Client, refresh_request
from clew.auth.schemes import OAuth2
from clew.core.secret import Secret

pytestmark = pytest.mark.anyio

URL = "https://acme.example/token"
SCHEME = OAuth2(dpop=True)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    dpop.forget()
    yield
    dpop.forget()


def read(proof: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head = json.loads(base64.urlsafe_b64decode(proof.split(".", maxsplit=1)[0] + "=="))
    decoded = jwt.decode(proof, ECKey.import_key(head["jwk"]), algorithms=["ES256"])
    return decoded.header, decoded.claims


def test_a_proof_speaks_of_one_request_and_shows_no_private_key() -> None:
    key = dpop.new_key()
    header, claims = read(dpop.proof(key, "POST", f"{URL}?a=1#b", token=Secret("t"), now=5))
    assert (header["typ"], sorted(header["jwk"])) == ("dpop+jwt", ["crv", "kty", "x", "y"])
    assert (claims["htm"], claims["htu"], claims["iat"]) == ("POST", URL, 5)
    assert claims["ath"] == base64.urlsafe_b64encode(hashlib.sha256(b"t").digest()).rstrip(b"=").decode()
    assert claims["jti"] != read(dpop.proof(key, "POST", URL))[1]["jti"]


def test_a_request_is_signed_with_the_nonce_of_its_server() -> None:
    dpop.learn(URL, {"dpop-nonce": "n1"})
    request = httpx.Request("GET", "https://acme.example/api")
    values = {"access_token": Secret("t"), "dpop_key": dpop.new_key()}
    SCHEME.apply(request, values.__getitem__)
    assert request.headers["authorization"] == "DPoP t"
    assert read(request.headers["dpop"])[1]["nonce"] == "n1"
    elsewhere = httpx.Request("GET", "https://other.example/api")
    SCHEME.apply(elsewhere, values.__getitem__)
    assert "nonce" not in read(elsewhere.headers["dpop"])[1]


async def ask(*answers: httpx.Response) -> tuple[Grant | Refusal, list[dict[str, Any]]]:
    request = refresh_request(SCHEME, URL, Client("c", dpop_key=dpop.new_key()), refresh_token=Secret("r"))
    proofs: list[str] = []
    waiting = iter(answers)

    def reply(request: httpx.Request) -> httpx.Response:
        proofs.append(request.headers["dpop"])
        return next(waiting)

    with respx.mock:
        respx.post(URL).mock(side_effect=reply)
        async with httpx.AsyncClient() as http:
            answer = await exchange(http, SCHEME, request, seconds=5)
    return answer, [read(proof)[1] for proof in proofs]


WANTED = {"error": "use_dpop_nonce"}
TOKEN = httpx.Response(200, json={"access_token": "a", "token_type": "DPoP"})


async def test_a_nonce_that_is_asked_for_is_given_once() -> None:
    answer, proofs = await ask(httpx.Response(400, json=WANTED, headers={"DPoP-Nonce": "n2"}), TOKEN)
    assert isinstance(answer, Grant)
    assert [proof.get("nonce") for proof in proofs] == [None, "n2"]
    assert proofs[0]["jti"] != proofs[1]["jti"]


async def test_a_server_that_asks_for_ever_is_not_asked_for_ever() -> None:
    again = [httpx.Response(400, json=WANTED, headers={"DPoP-Nonce": f"n{number}"}) for number in range(3)]
    answer, proofs = await ask(*again)
    assert isinstance(answer, Refusal)
    assert len(proofs) == 2


@pytest.mark.parametrize("headers", [{}, {"DPoP-Nonce": "x" * 501}])
async def test_without_a_usable_nonce_nothing_is_repeated(headers: dict[str, str]) -> None:
    _, proofs = await ask(httpx.Response(400, json=WANTED, headers=headers))
    assert len(proofs) == 1


async def test_an_ordinary_refusal_with_a_fresh_nonce_is_not_repeated() -> None:
    refusal = httpx.Response(400, json={"error": "invalid_grant"}, headers={"DPoP-Nonce": "n"})
    _, proofs = await ask(refusal)
    assert len(proofs) == 1


def test_nonces_do_not_fill_the_memory() -> None:
    for number in range(2000):
        dpop.learn(f"https://h{number}.example/", {"dpop-nonce": "n"})
    assert dpop.known_nonce("https://h0.example/") is None
    assert dpop.known_nonce("https://h1999.example/") == "n"
