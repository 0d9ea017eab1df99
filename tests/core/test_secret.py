"""A secret leaves by `reveal()` and by nothing else."""

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from clew.core.secret import Secret

VALUE = "hunter2-\N{SNOWMAN}"
SECRET = Secret(VALUE)


@dataclasses.dataclass
class Holder:
    token: Secret
    more: list[Secret]


SHOWING: list[Callable[[Any], str]] = [
    str,
    repr,
    ascii,
    format,
    "{}".format,
    "{!r:>40}".format,
    lambda each: f"{each}",
    lambda each: f"{each:>20}",
    lambda each: f"{each!s:^30}",
    lambda each: "%s %r" % (each, each),  # noqa: UP031
    lambda each: str([each, {each: each}, (each,)]),
    lambda each: repr(Holder(each, [each])),
    lambda each: str(dataclasses.asdict(Holder(each, [each]))),
    lambda each: pprint.pformat(Holder(each, [each])),
    lambda each: json.dumps({"token": each}, default=str),
    lambda each: str(vars(Holder(each, []))),
    lambda each: str(ValueError(each)),
]
REFUSING: list[Callable[[Any], object]] = [
    json.dumps,
    pickle.dumps,
    lambda each: "x" + each,
    lambda each: "".join([each]),
    bytes,
    lambda each: f"{each:d}",
    iter,
    len,
]


@pytest.mark.parametrize("make", SHOWING)
def test_no_way_of_making_text_shows_the_value(make: Callable[[Any], str]) -> None:
    text = make(SECRET)
    assert "hunter2" not in text
    assert "Secret(" in text


@pytest.mark.parametrize("make", REFUSING)
def test_what_cannot_hide_the_value_refuses_without_naming_it(make: Callable[[Any], object]) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make(SECRET)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_log_line_does_not_show_the_value() -> None:
    stream = io.StringIO()
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("token %s in %r", SECRET, [SECRET])
    assert stream.getvalue() == "token Secret('…') in [Secret('…')]\n"


def test_reveal_gives_the_value_back() -> None:
    assert SECRET.reveal() == VALUE


def test_secrets_compare_by_value_and_never_equal_plain_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_broken_text_compares_without_an_error_that_carries_it() -> None:
    assert Secret("a\udcff") == Secret("a\udcff")
    assert Secret("a\udcff") != Secret("a")


def test_only_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret("0")


def test_copies_are_the_secret_itself() -> None:
    assert copy.copy(SECRET) is SECRET
    assert copy.deepcopy([SECRET])[0] is SECRET
