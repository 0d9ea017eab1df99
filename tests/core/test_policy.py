"""What may happen without a person."""

import pytest

from clew.core.connector import Effect, Tool
from clew.core.policy import Decision, Policy


async def do(api: object) -> None:
    """Do it."""


def tool(effect: Effect) -> Tool:
    return Tool("acme", "do", do, effect, "")


@pytest.mark.parametrize(
    ("effect", "usual", "read_only"),
    [
        (Effect.READ, Decision.ALLOW, Decision.ALLOW),
        (Effect.WRITE, Decision.ALLOW, Decision.DENY),
        (Effect.DESTRUCTIVE, Decision.ASK, Decision.DENY),
    ],
)
def test_the_effect_decides_and_read_only_denies_every_change(
    effect: Effect, usual: Decision, read_only: Decision
) -> None:
    assert Policy().decide(tool(effect)) is usual
    assert Policy(read_only=True).decide(tool(effect)) is read_only


def test_a_tool_that_is_always_denied_is_not_offered() -> None:
    assert [effect for effect in Effect if Policy(read_only=True).shows(tool(effect))] == [Effect.READ]
    assert all(Policy().shows(tool(effect)) for effect in Effect)
