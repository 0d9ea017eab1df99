"""How a credential logs in: by what the server offers and the credential is good for."""

import base64
from collections.abc import Sequence

import pytest

from clew.core.credentials import Credential
from clew.core.errors import InternalError
from clew.core.mail.login import sasl
from clew.core.secret import Secret

PASSWORD = Credential("1", "basic", {"username": Secret("ada"), "password": Secret("open sesame")})
TOKEN = Credential("1", "oauth2", {"access_token": Secret("a-token")})
BEARER = Credential("1", "bearer", {"token": Secret("a-token")})


def said(credential: Credential, *offered: str) -> tuple[str, Sequence[str]]:
    mechanism, messages = sasl(credential, "me@home.example", offered)
    return mechanism, [base64.b64decode(each.reveal()).decode() for each in messages]


@pytest.mark.parametrize(
    ("credential", "offered", "mechanism", "messages"),
    [
        (PASSWORD, ["login", "plain"], "PLAIN", ["\0ada\0open sesame"]),
        (PASSWORD, ["LOGIN", "XOAUTH2"], "LOGIN", ["ada", "open sesame"]),
        (PASSWORD, ["XOAUTH2"], "", []),
        (TOKEN, ["OAUTHBEARER", "XOAUTH2"], "XOAUTH2", ["user=me@home.example\1auth=Bearer a-token\1\1", ""]),
        (BEARER, ["OAUTHBEARER"], "OAUTHBEARER", ["n,a=me@home.example,\1auth=Bearer a-token\1\1", "\1"]),
        (TOKEN, ["PLAIN", "LOGIN"], "", []),
    ],
)
def test_a_credential_takes_the_best_way_that_is_offered(
    credential: Credential, offered: list[str], mechanism: str, messages: list[str]
) -> None:
    assert said(credential, *offered) == (mechanism, messages)


def test_a_credential_that_is_neither_password_nor_token_cannot_log_in() -> None:
    with pytest.raises(InternalError, match="'client_certificate' cannot log in"):
        said(Credential("1", "client_certificate", {"key": Secret("x")}), "PLAIN")
