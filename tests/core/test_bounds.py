"""Every bound of a request has a sane default and cannot change under a running call."""

from dataclasses import FrozenInstanceError, astuple

import pytest

from clew.core.bounds import Bounds


def test_every_bound_is_finite_and_above_zero_by_default() -> None:
    assert all(0 < value < 100_000_000 for value in astuple(Bounds()))


def test_bounds_are_named_and_fixed() -> None:
    bounds = Bounds(body=100, redirects=0)
    assert (bounds.body, bounds.redirects, bounds.connect) == (100, 0, 10.0)
    with pytest.raises(FrozenInstanceError):
        bounds.body = 1  # type: ignore[misc]
