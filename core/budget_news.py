"""What answers change in a budget: news of what is left, refusals, corrections of what a request took. Pure, too."""

import bisect
import math

from clew.core.budgets import NEVER, Level, Terms, sized, slack
from clew.core.limits import LONGEST_WAIT, News


def learn(terms: Terms, level: Level, news: News, mark: float, now: float) -> bool:
    """Take in what an answer says; `mark` is `total` when its request was admitted. True when something changed.

    What is left only ever goes down until the window ends.
    """
    before = (level.even, level.left, level.ends, level.peak, level.span)
    if 0 < news.limit <= 1000 * terms.amount and terms.kind in {"bucket", "sliding", "fixed"}:
        level.peak = news.limit
        length = news.limit / news.restore if news.restore else news.span
        level.span = length or level.span
    left = news.remaining - _uncounted(terms, level, mark, now, now + news.reset)
    if terms.kind == "bucket":  # what is handed out ahead has not arrived, so only what stands now can be compared
        size = sized(terms, level)
        stands = max(size.burst - max(level.even - now, 0.0) / size.interval, 0.0)
        if news.remaining < stands:
            level.even = now + (size.burst - news.remaining) * size.interval
    elif news.reset > 0 and level.opens <= now:
        ends = now + news.reset
        if level.ends <= now:
            level.left, level.ends = left, ends
        else:
            level.left, level.ends = min(level.left, left), min(level.ends, ends)
        if terms.kind == "learned":
            level.peak = max(news.limit or level.peak, news.remaining + 1)
            level.span = max(level.span, news.reset) if not news.span else news.span
    return before != (level.even, level.left, level.ends, level.peak, level.span)


def _uncounted(terms: Terms, level: Level, mark: float, now: float, ends: float) -> float:
    """Units handed out in the provider's window until `ends` that its answer does not hold yet.

    Of a new window: all that were handed out since that request. Of one that is known, whose units were subtracted when
    they were handed out: those whose moments still lie ahead. What is on its way may or may not be counted, and
    subtracting it with every answer again would end the window early.
    """
    since = max(level.total - mark, 0.0)
    if terms.kind not in {"sliding", "fixed"}:
        return since
    after = _from(terms, level, ends, 1.0)
    if level.ends > now:
        coming = _from(terms, level, now, 0.0)
    else:  # whatever left a little while ago has arrived, whoever's answer came first
        coming = min(since, _from(terms, level, now - slack(terms, 0.1), 0.0))
    return max(coming - after, 0.0)


def _from(terms: Terms, level: Level, moment: float, margin: float) -> float:
    """Units handed out for moments from `moment` on, at a spacing for this margin."""
    spacing = sized(terms, level).spacing(slack(terms, margin))
    evens = max((level.even - moment) // spacing, 0.0) if spacing < NEVER else 0.0
    return evens + sum(units for at, units in level.log if at >= moment)


def refuse(terms: Terms, level: Level, seconds: float, epoch: int, now: float, *, told: bool = False) -> None:
    """The provider refused: nothing leaves for `seconds`, and all moments handed out in `epoch` are void. `told` says
    that these seconds are the provider's own word: a window is then believed to be empty for no longer.

    The first refusal of an epoch empties the budget. Further ones within a minute show what rate the provider really
    admits; requests are then spaced by it, and come closer again, slowly at first, while nothing is refused. Until two
    have shown it, what nobody declared is taken to be as many in the seconds we step back as were admitted so far.
    """
    level.stop = max(level.stop, now + min(max(seconds, 0.0), LONGEST_WAIT))
    if epoch != level.epoch:
        adjust(terms, level, 1.0, now, now)  # with some providers refusals count
        return
    level.epoch += 1
    drain(terms, level, now, until=level.stop if told else math.inf)
    level.ends = level.opens = 0.0
    ahead = math.ceil(max(level.last - now, 0.0) / level.pace) if level.pace else 0
    admitted, since = max(level.total - level.counted - ahead, 1.0), now - level.refused
    measured = level.refused > 0 and since < 60.0 + 2 * seconds
    if measured and not told and admitted < 2:  # a closed window says nothing about a rate: look less and less often
        level.stop, level.counted = max(level.stop, now + since / 4), level.total
        return
    if measured:
        level.pace = min(max(level.pace, 1.02 * since / admitted), 60.0)
    elif terms.kind == "learned" and not told:
        level.pace = seconds / admitted
    level.last = min(level.last, level.stop)
    level.refused, level.counted = now, level.total


def drain(terms: Terms, level: Level, now: float, until: float = math.inf) -> None:
    """Let the budget be empty now, for nobody knows what was taken from it; a window for not longer than `until`."""
    size = sized(terms, level)
    if terms.kind == "bucket":
        level.even = now + (size.burst + 1) * size.interval
    elif terms.kind in {"sliding", "fixed"}:
        level.even, level.log = max(now, level.stop), [[min(now, until - size.per), size.burst]]


def empty(terms: Terms, level: Level, at: float) -> None:
    """Let the budget be empty at `at`, which may lie ahead; what was handed out for later stays. For a keeper that
    takes over from another: doing it twice, from two processes, changes nothing more."""
    size = sized(terms, level)
    if terms.kind == "bucket":
        level.even = max(level.even, at + size.burst * size.interval)
    elif terms.kind in {"sliding", "fixed"}:
        level.even = max(level.even, at)
        later = [entry for entry in level.log if entry[0] > at]
        level.log = [[at, max(size.burst - sum(units for _, units in later), 0.0)], *later]


def adjust(terms: Terms, level: Level, units: float, at: float, now: float) -> None:
    """Add `units` to what a request took at `at`, or give some back (below 0)."""
    if terms.kind == "bucket":
        level.even += units * sized(terms, level).interval
    elif terms.kind in {"sliding", "fixed"}:
        bisect.insort(level.log, [at, units])
    if level.ends > now:
        level.left -= max(units, 0.0)
