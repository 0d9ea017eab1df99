"""Origins: one spelling for each, and no address that looks like another."""

import httpx
import pytest

from clew.auth.origins import origin_of
from clew.core.errors import ConfigurationError

GITHUB = "https://api.github.com"


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://API.GitHub.com:443/v3?x#y", GITHUB),
        ("https://api.github.com@evil.example/", "https://evil.example"),
        ("https://evil.example#@api.github.com/", "https://evil.example"),
        ("https://evil.example?@api.github.com/", "https://evil.example"),
        ("https://api.github.com.evil.example", "https://api.github.com.evil.example"),
        ("https://api.github.com:8443", "https://api.github.com:8443"),
        ("http://api.github.com", "http://api.github.com"),
        ("http://[::1]:8080/x", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_where_the_request_really_goes(address: str, origin: str) -> None:
    url = httpx.URL(address)
    assert origin_of(address) == origin
    host = f"[{url.host}]" if ":" in url.host else url.host
    assert origin_of(f"{url.scheme}://{host}{f':{url.port}' if url.port else ''}") == origin


def test_variables_of_a_template_stay() -> None:
    assert origin_of("https://{shop}.example.com/admin") == "https://{shop}.example.com"


@pytest.mark.parametrize("address", ["https://x:port", "https://[broken", "https://x:99999"])
def test_what_is_no_address_is_one_sentence(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an address"):
        origin_of(address)
