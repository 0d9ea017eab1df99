"""OAuth 1.0a signatures, letter by letter where RFC 5849 and its predecessors give them."""

import httpx

from clew.auth.oauth1 import base_string, sign_request, signature
from clew.auth.schemes import OAuth1
from clew.core.secret import Secret

KEYS = {
    "consumer_key": Secret("dpf43f3p2l4k3l03"),
    "consumer_secret": Secret("kd94hf93k423kf44"),
    "token": Secret("nnch734d00sl2jdk"),
    "token_secret": Secret("pfkkdhi9sl3r4s00"),
}


def test_the_base_string_is_that_of_rfc_5849_section_3_4_1_1() -> None:
    parameters = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
        ("c2", ""),
        ("a3", "2 q"),
    ]
    assert base_string("post", "http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b", parameters) == (
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26"
        "c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26"
        "oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    )


def test_the_signature_is_that_of_the_photos_example() -> None:
    # The photos of RFC 5849 section 1.2, as OAuth Core 1.0 appendix A.5 signs them (with oauth_version).
    parameters = {
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_token": "nnch734d00sl2jdk",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1191242096",
        "oauth_nonce": "kllo9940pd9333jh",
        "oauth_version": "1.0",
    }
    base = base_string("GET", "http://photos.example.net/photos?file=vacation.jpg&size=original", [*parameters.items()])
    assert signature(base, KEYS["consumer_secret"], KEYS["token_secret"], "HMAC-SHA1") == "tR3+Ty81lMeYAr/Fid0kMTYa/WM="


def test_a_request_carries_the_signature_and_the_realm() -> None:
    request = httpx.Request("GET", "http://photos.example.net/photos?file=vacation.jpg&size=original")
    keys = {**KEYS, "realm": Secret("ACCT_SB1")}
    sign_request(request, keys, algorithm="HMAC-SHA1", nonce="kllo9940pd9333jh", now=1191242096)
    header = request.headers["authorization"]
    assert header.startswith('OAuth realm="ACCT_SB1", oauth_consumer_key="dpf43f3p2l4k3l03"')
    assert 'oauth_signature="tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D"' in header


def test_a_form_body_is_signed_and_a_json_body_is_not() -> None:
    def signed(**body: object) -> str:
        request = httpx.Request("POST", "https://api.example/x", **body)  # type: ignore[arg-type]
        sign_request(request, KEYS, algorithm="HMAC-SHA256", nonce="n", now=1)
        return request.headers["authorization"].rpartition('oauth_signature="')[2]

    assert signed(data={"a": "1"}) != signed(data={"a": "2"})
    assert signed(json={"a": "1"}) == signed(json={"a": "2"})


def test_the_scheme_signs_each_request_anew() -> None:
    scheme = OAuth1("HMAC-SHA256", realm=True)
    assert scheme.fields == ("consumer_key", "consumer_secret", "token", "token_secret", "realm")
    headers: set[str] = set()
    for _ in range(2):
        request = httpx.Request("GET", "https://1234567-sb1.suitetalk.api.netsuite.com/services/rest")
        scheme.apply(request, lambda name: {**KEYS, "realm": Secret("1234567_SB1")}[name])
        headers.add(request.headers["authorization"])
    assert len(headers) == 2
    assert all('oauth_signature_method="HMAC-SHA256"' in header for header in headers)
