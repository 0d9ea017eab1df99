"""How credentials go on requests, and where they may be sent."""

from typing import Any

import httpx
import pytest

from clew.auth.schemes import ApiKey, Basic, Bearer, OAuth2, TokenRule, expand
from clew.core.credentials import Scheme
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret


def applied(scheme: Any, url: str = "https://api.example/x?a=1", **fields: str) -> httpx.Request:
    request = httpx.Request("GET", url)

    def secret(name: str) -> Secret:
        return Secret(fields[name])

    for _ in range(2):  # a retry applies again
        scheme.apply(request, secret)
    return request


def test_a_bearer_token_goes_into_the_authorization_header() -> None:
    assert applied(Bearer(), token="t").headers["authorization"] == "Bearer t"
    assert applied(Bearer("token"), token="t").headers["authorization"] == "token t"
    assert applied(Bearer("", header="X-Token"), token="t").headers["x-token"] == "t"


def test_an_api_key_goes_into_its_header_or_its_query_parameter_once() -> None:
    assert applied(ApiKey(header="X-Api-Key"), key="k").headers["x-api-key"] == "k"
    assert str(applied(ApiKey(query="key"), key="k&b=2").url) == "https://api.example/x?a=1&key=k%26b%3D2"


@pytest.mark.parametrize("places", [{}, {"header": "a", "query": "b"}])
def test_an_api_key_has_exactly_one_place(places: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="either"):
        ApiKey(**places)


def test_basic_joins_user_name_and_password_in_utf8() -> None:
    # RFC 7617 section 2.1: user "test", password "123£"
    assert applied(Basic(), username="test", password="123£").headers["authorization"] == "Basic dGVzdDoxMjPCow=="
    assert Basic().fields == ("username", "password")


def test_basic_knows_suffixes_and_fixed_passwords() -> None:
    fixed = Basic(suffix="/token", password="x")
    assert fixed.fields == ("username",)
    assert applied(fixed, username="ada").headers["authorization"] == httpx.BasicAuth("ada/token", "x")._auth_header  # pyright: ignore[reportPrivateUsage]


def test_an_access_token_goes_into_the_authorization_header() -> None:
    scheme = OAuth2("https://a.example/authorize", "https://a.example/token")
    assert applied(scheme, access_token="t").headers["authorization"] == "Bearer t"


@pytest.mark.parametrize(
    ("scheme", "kind", "fields"),
    [
        (Bearer(), "bearer", ("token",)),
        (ApiKey(header="X"), "api_key", ("key",)),
        (Basic(), "basic", ("username", "password")),
        (OAuth2("https://a.example/a", "https://a.example/t"), "oauth2", ("access_token", "refresh_token")),
    ],
)
def test_every_scheme_satisfies_the_core_and_names_its_fields(
    scheme: Scheme, kind: str, fields: tuple[str, ...]
) -> None:
    assert isinstance(scheme, Scheme)
    assert scheme.kind == kind
    assert getattr(scheme, "fields") == fields  # noqa: B009


def test_addresses_are_filled_from_the_base_url_and_the_connection() -> None:
    base = "https://ghe.example:8443/api/v3/"
    assert expand("{origin}/login/oauth", base_url=base) == "https://ghe.example:8443/login/oauth"
    assert expand("{base_url}/token", base_url=base) == "https://ghe.example:8443/api/v3/token"
    assert expand("https://{shop}.shops.example/t", base_url=base, variables={"shop": "ada-1"}) == (
        "https://ada-1.shops.example/t"
    )


@pytest.mark.parametrize("value", ["", "evil.example/", "a@evil.example", "a#", "a?", "..", "a..b", "-a", "a b", "a\n"])
def test_a_variable_cannot_lead_to_another_place(value: str) -> None:
    with pytest.raises(ConfigurationError, match="valid shop"):
        expand("https://{shop}.shops.example/t", base_url="https://x.example", variables={"shop": value})


@pytest.mark.parametrize("base", ["http://api.example", "ftp://api.example", "http://127.0.0.1.evil.example"])
def test_credentials_are_sent_over_https_or_to_this_machine_only(base: str) -> None:
    with pytest.raises(ConfigurationError, match="not an https address"):
        expand("{base_url}/token", base_url=base)
    assert expand("{base_url}/t", base_url="http://127.0.0.1:81") == "http://127.0.0.1:81/t"


def test_a_rule_fits_by_status_whole_code_and_part_of_the_text() -> None:
    rule = TokenRule("dead", status=403, code="unauthorized_client", text="refresh_token is invalid")
    assert rule.fits(403, "unauthorized_client", "the Refresh_Token is invalid.")
    assert not rule.fits(400, "unauthorized_client", "refresh_token is invalid")
    assert not rule.fits(403, "unauthorized_client_x", "refresh_token is invalid")
    assert not rule.fits(403, "unauthorized_client", "no such client")
