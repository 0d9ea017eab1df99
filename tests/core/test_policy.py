"""What may happen without a person: rules in their order, then the effect of the tool; what cannot be told is a no."""

from typing import Any

import pytest

from clew.core.conditions import Condition
from clew.core.connection import Connection
from clew.core.connector import Effect, Tool
from clew.core.hours import Hours
from clew.core.policy import Decision, Once, Policy, PolicyRule, PreviewNeededError, Rate, Request, Ruling

WORK = Connection("local", "acme", "work")
MONDAY_NOON = 1_700_481_600.0  # 2023-11-20 12:00 UTC


async def do(api: object) -> None:
    """Do it."""


def tool(effect: Effect, name: str = "do") -> Tool:
    return Tool("acme", name, do, effect, "")


def judged(policy: Policy, effect: Effect = Effect.WRITE, **facts: Any) -> Ruling:
    arguments = facts.pop("arguments", {})
    where = facts.pop("connection", WORK)
    return policy.judge(Request(tool(effect), arguments, where, now=facts.pop("now", MONDAY_NOON), **facts))


def rule(then: Decision = Decision.DENY, **facts: Any) -> Policy:
    return Policy(rules=(PolicyRule(name="mine", then=then, **facts),))


def when(**conditions: str) -> tuple[Condition, ...]:
    return tuple(Condition.parse(name.replace("__", "."), text) for name, text in conditions.items())


@pytest.mark.parametrize(
    ("effect", "usual", "read_only"),
    [
        (Effect.READ, Decision.ALLOW, Decision.ALLOW),
        (Effect.WRITE, Decision.ASK, Decision.DENY),
        (Effect.DESTRUCTIVE, Decision.ASK, Decision.DENY),
    ],
)
def test_the_effect_decides_and_read_only_denies_every_change(
    effect: Effect, usual: Decision, read_only: Decision
) -> None:
    assert judged(Policy(), effect).decision is usual
    assert judged(Policy(read_only=True), effect).decision is read_only


def test_a_yes_to_a_write_is_good_for_the_session_and_one_to_a_destructive_call_for_that_call() -> None:
    assert judged(Policy()).once is Once.SESSION
    assert judged(Policy(), Effect.DESTRUCTIVE).once is Once.CALL
    assert judged(Policy(writes=Decision.ALLOW)).decision is Decision.ALLOW
    assert judged(Policy(writes=Decision.DENY)).decision is Decision.DENY
    ruling = judged(Policy())
    assert (ruling.needed, ruling.approvers, ruling.expires, len(ruling.channels)) == (1, (), 3600.0, 3)


def test_a_tool_that_is_always_denied_is_not_offered() -> None:
    assert [effect for effect in Effect if Policy(read_only=True).shows(tool(effect))] == [Effect.READ]
    assert all(Policy().shows(tool(effect)) for effect in Effect)
    assert not rule().shows(tool(Effect.WRITE))
    assert rule(Decision.ASK).shows(tool(Effect.WRITE))
    assert rule(when=when(n="> 1")).shows(tool(Effect.WRITE))
    assert rule(tool="other").shows(tool(Effect.WRITE))
    assert not Policy(writes=Decision.DENY).shows(tool(Effect.WRITE))


@pytest.mark.parametrize(
    ("facts", "applies"),
    [
        ({}, True),
        ({"tool": "d*"}, True),
        ({"tool": "create_*"}, False),
        ({"connector": "acme"}, True),
        ({"connector": "stripe"}, False),
        ({"effect": Effect.WRITE}, True),
        ({"effect": Effect.READ}, False),
        ({"account": "work"}, True),
        ({"account": "home"}, False),
        ({"tenant": "globex"}, False),
        ({"when": when(n="> 4", to="outside ours.example")}, True),
        ({"when": when(n="> 5", to="outside ours.example")}, False),
        ({"during": Hours.parse("Mon-Fri 08:00-18:00")}, True),
        ({"during": Hours.parse("Sat,Sun 08:00-18:00")}, False),
        ({"outside": Hours.parse("Mon-Fri 08:00-18:00")}, False),
        ({"outside": Hours.parse("Mon-Fri 13:00-18:00")}, True),
        ({"above": Rate(2, 60)}, True),
        ({"above": Rate(3, 60)}, False),
        ({"confidence": 0.8}, True),
        ({"confidence": 0.6}, False),
    ],
)
def test_a_rule_applies_when_all_of_it_does(facts: dict[str, Any], applies: bool) -> None:
    arguments = {"n": 5, "to": "a@theirs.example"}
    ruling = judged(rule(**facts), arguments=arguments, met={"mine": 3}, confidence=0.7)
    assert (ruling.decision is Decision.DENY) is applies
    assert ("mine" in ruling.because) is applies


def test_the_first_rule_that_applies_decides_and_says_why() -> None:
    first = PolicyRule(name="small", then=Decision.ALLOW, when=when(amount="<= 100 EUR"))
    second = PolicyRule(name="rest", then=Decision.ASK, needed=2, approvers=("ada", "bob"), expires=60)
    policy = Policy(rules=(first, second))
    small = judged(policy, arguments={"amount": "20.50", "currency": "eur"})
    assert (small.decision, small.because) == (Decision.ALLOW, "rule 'small': amount <= 100 EUR")
    large = judged(policy, arguments={"amount": "200", "currency": "EUR"})
    assert (large.decision, large.because, large.needed) == (Decision.ASK, "rule 'rest'", 2)
    assert (large.approvers, large.expires) == (("ada", "bob"), 60)


def test_what_cannot_be_told_is_a_no() -> None:
    policy = rule(Decision.ALLOW, when=when(amount="<= 100 EUR"))
    ruling = judged(policy, arguments={"amount": "20", "currency": "usd"})
    assert ruling.decision is Decision.DENY
    assert ruling.because == "rule 'mine' cannot be applied: amount is in USD, not in EUR"


def test_a_confidence_that_is_not_stated_is_too_low() -> None:
    policy = rule(Decision.ASK, confidence=0.9)
    assert judged(policy).because == "rule 'mine': confidence not stated, below 0.9"
    assert judged(policy, confidence=0.5).because == "rule 'mine': confidence 0.5, below 0.9"
    assert judged(policy, confidence=0.9).rule is None
    assert policy.wants_confidence(tool(Effect.WRITE))
    assert not Policy().wants_confidence(tool(Effect.WRITE))


def test_a_rule_about_the_object_waits_until_it_has_been_fetched() -> None:
    policy = rule(when=when(preview__amount="> 100 EUR"))
    with pytest.raises(PreviewNeededError):
        judged(policy)
    assert judged(policy, preview={"amount": {"amount": 200, "currency": "EUR"}}).decision is Decision.DENY
    assert judged(policy, preview={"amount": 50, "currency": "EUR"}).rule is None
    assert judged(policy, preview={}).rule is None


def test_the_rules_with_a_rate_are_named() -> None:
    assert [each.name for each in rule(above=Rate(1, 60)).counted(tool(Effect.WRITE))] == ["mine"]
    assert rule(above=Rate(1, 60), tool="other").counted(tool(Effect.WRITE)) == ()
    assert [str(Rate(2, 60)), str(Rate(3, 3600)), str(Rate(1, 86400)), str(Rate(1, 5))] == [
        "2/minute", "3/hour", "1/day", "1/5 s",
    ]  # fmt: skip
