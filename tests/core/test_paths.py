"""An argument fills its place in a path and can never lead anywhere else."""

from enum import Enum
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.errors import ConfigurationError, InvalidInputError
from clew.core.paths import expand


class Colour(str, Enum):  # noqa: UP042 - many people still write it so, and its str() is another
    RED = "red"


class Level(int, Enum):
    LOW = 3


@pytest.mark.parametrize(
    ("template", "values", "path"),
    [
        ("/user", (), "/user"),
        ("/repos/{}/{}", ("o", 7), "/repos/o/7"),
        ("/x/{}.json", ("a b",), "/x/a%20b.json"),
        ("/x/{}", ("a/b",), "/x/a%2Fb"),
        ("/x/{}", ("a?b#c&d=e%2e",), "/x/a%3Fb%23c%26d%3De%252e"),
        ("/x/{}", ("\N{LATIN SMALL LETTER U WITH DIAERESIS}",), "/x/%C3%BC"),
        ("/x/{}", ("...",), "/x/..."),
        ("/x/{}", ("a..b",), "/x/a..b"),
        ("/x/{}", (".git",), "/x/.git"),
        ("/x/{}", (Colour.RED,), "/x/red"),
        ("/x/{}", (Level.LOW,), "/x/3"),
        ("/f/{+}/raw", ("src/a b.py",), "/f/src/a%20b.py/raw"),
        ("/f/{+}", ("/src/a.py/",), "/f/src/a.py"),
        ("/{}/{+}", ("a", "b"), "/a/b"),
    ],
)
def test_values_are_quoted_into_their_places(template: str, values: tuple[str | int, ...], path: str) -> None:
    assert expand(template, values) == path


@pytest.mark.parametrize("hole", ["{}", "{+}"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "../etc",
        "a/../b",
        "a/..",
        "..\\windows",
        "a\\..\\b",
        "./a",
        "a/.",
        "a\nb",
        "\r\n",
        "a\x00",
        "\x7f",
    ],
)
def test_a_value_that_could_lead_elsewhere_is_refused_with_what_to_do(hole: str, value: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        expand(f"/x/{hole}/y", (value,))
    assert caught.value.next_step == "Give the plain name or number."
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("value", ["a//b", "/", "//"])
def test_empty_segments_are_refused_where_segments_are_taken(value: str) -> None:
    with pytest.raises(InvalidInputError, match="not a valid name"):
        expand("/f/{+}", (value,))


def test_half_a_character_is_refused_instead_of_breaking_the_encoder() -> None:
    with pytest.raises(InvalidInputError, match="control characters"):
        expand("/x/{}", ("a\ud800",))


@pytest.mark.parametrize("template", ["user", "", "/x/{name}", "/x/{0}", "/x?a={}", "/x#y", "/x/ y", "/x/}{", "/{++}"])
def test_a_template_that_is_no_template_is_the_authors_mistake(template: str) -> None:
    with pytest.raises(ConfigurationError, match="path template"):
        expand(template, ("a",))


def test_the_number_of_values_must_fit() -> None:
    with pytest.raises(ConfigurationError, match="takes 2 values, got 1"):
        expand("/{}/{}", ("a",))


@given(st.text())
def test_whatever_one_segment_gets_the_path_keeps_its_segments(value: str) -> None:
    try:
        path = expand("/before/{}/after", (value,))
    except InvalidInputError:
        return
    before, middle, after = path[1:].split("/")
    assert (before, after) == ("before", "after")
    assert unquote(middle) == value
    assert path.isascii()


@given(st.text())
def test_whatever_several_segments_get_the_path_never_climbs(value: str) -> None:
    try:
        path = expand("/before/{+}/after", (value,))
    except InvalidInputError:
        return
    segments = path[1:].split("/")
    assert segments[0] == "before"
    assert segments[-1] == "after"
    assert not {"", ".", ".."} & {unquote(segment) for segment in segments}
