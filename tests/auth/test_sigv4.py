"""AWS Signature Version 4 against the vectors that AWS publishes (aws-sig-v4-test-suite, S3 API reference)."""

from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest

from clew.auth.sigv4 import AwsCredentials, sign
from clew.core.errors import ConfigurationError
from clew.core.secret import Secret

KEY = AwsCredentials("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
HOST = "https://example.amazonaws.com"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx"
    "7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q"
    "6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)


def authorization(request: httpx.Request, credentials: AwsCredentials = KEY) -> str:
    return sign(request, credentials, region="us-east-1", service="service", now=NOW)["authorization"]


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        pytest.param(
            httpx.Request("GET", HOST + "/"),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            id="get-vanilla",
        ),
        pytest.param(
            httpx.Request("GET", HOST + "/?Param2=value2&Param1=value1"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            id="get-vanilla-query-order-key-case",
        ),
        pytest.param(
            httpx.Request("GET", HOST + "/?Param1=Value1&Param1=value2"),
            "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
            id="get-vanilla-query-order-value",
        ),
        pytest.param(
            httpx.Request("POST", HOST + "/"),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            id="post-vanilla",
        ),
        pytest.param(
            httpx.Request("POST", HOST + "/", headers={"My-Header1": "VALUE1"}),
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
            id="post-header-value-case",
        ),
        pytest.param(
            httpx.Request(
                "POST",
                HOST + "/",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                content=b"Param1=value1",
            ),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            id="post-x-www-form-urlencoded",
        ),
        pytest.param(
            httpx.Request("GET", HOST + "/", headers=[("My-Header1", " value1"), ("My-Header2", ' "a   b   c"')]),
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            id="get-header-value-trim",
        ),
    ],
)
def test_the_published_vectors_are_met(request_: httpx.Request, signature: str) -> None:
    assert authorization(request_).endswith(f"Signature={signature}")


def test_the_published_vector_with_a_session_token_is_met() -> None:
    temporary = AwsCredentials(KEY.access_key_id, KEY.secret_access_key, Secret(TOKEN))
    signed = sign(httpx.Request("POST", HOST + "/"), temporary, region="us-east-1", service="service", now=NOW)
    assert signed["x-amz-security-token"] == TOKEN
    assert signed["authorization"].endswith(
        "SignedHeaders=host;x-amz-date;x-amz-security-token, "
        "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
    )


def test_the_example_of_the_s3_reference_is_met() -> None:
    signed = sign(
        httpx.Request("GET", "https://examplebucket.s3.amazonaws.com/test.txt", headers={"Range": "bytes=0-9"}),
        AwsCredentials("AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
        region="us-east-1",
        service="s3",
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert signed["authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


def test_a_path_is_encoded_twice_but_once_for_s3() -> None:
    request = httpx.Request("GET", HOST + "/a%20b")
    options = {"region": "us-east-1", "now": NOW}
    once, twice = httpx.Request("GET", HOST + "/a%2520b"), httpx.Request("GET", HOST + "/a b")
    assert authorization(request) == authorization(twice)
    assert authorization(request) != authorization(once)
    assert sign(request, KEY, service="s3", **options) == sign(twice, KEY, service="s3", **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_second_signature_replaces_the_first_and_the_time_zone_does_not_matter() -> None:
    request = httpx.Request("POST", HOST + "/x?a=b c", content=b"{}")
    first = sign(request, KEY, region="r", service="s", now=NOW - timedelta(hours=1))
    request.headers.update(first)
    fresh = httpx.Request("POST", HOST + "/x?a=b c", content=b"{}")
    local = NOW.astimezone(timezone(timedelta(hours=5)))
    assert sign(request, KEY, region="r", service="s", now=local) == sign(fresh, KEY, region="r", service="s", now=NOW)
    assert first["authorization"] != sign(fresh, KEY, region="r", service="s", now=NOW)["authorization"]


def test_what_proxies_change_is_not_signed() -> None:
    plain = httpx.Request("GET", HOST + "/")
    dressed = httpx.Request("GET", HOST + "/", headers={"User-Agent": "x", "Accept": "y", "Connection": "close"})
    assert authorization(plain) == authorization(dressed)


def test_credentials_come_from_the_environment_and_do_not_show() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "canary", "AWS_SESSION_TOKEN": "canary"}
    found = AwsCredentials.from_environment(environ)
    assert found == AwsCredentials("id", Secret("canary"), Secret("canary"))
    assert "canary" not in repr(found)
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY"):
        AwsCredentials.from_environment({"AWS_ACCESS_KEY_ID": "id"})
