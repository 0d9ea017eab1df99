"""A deadline counts down and says what still fits."""

import math
import time

import pytest

from clew.core.deadline import Deadline
from clew.core.errors import ConfigurationError


def test_the_time_left_counts_down_and_stops_at_zero() -> None:
    assert 59 < Deadline.after(60).remaining() <= 60
    assert Deadline(time.monotonic() - 5).remaining() == 0.0


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_deadline_that_is_over_at_once_is_a_wrong_setting(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="more than 0 seconds"):
        Deadline.after(seconds)


def test_a_wait_fits_only_with_room_for_the_work_after_it() -> None:
    deadline = Deadline.after(10)
    assert deadline.fits(9)
    assert not deadline.fits(9.8)
    assert deadline.fits(9.8, margin=0.1)
    assert not Deadline(time.monotonic()).fits(0)
