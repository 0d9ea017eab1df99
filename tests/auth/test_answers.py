"""Token answers of all shapes: where a provider puts what, and in which unit."""

import dataclasses
import json

import pytest

from clew.auth.answers import Grant, Refusal, judge
from clew.auth.endpoints import TokenAnswer, TokenRule, Unit, Variable
from clew.auth.schemes import OAuth2
from clew.core.secret import Secret

NOW = 1_700_000_000.0


def grant(scheme: OAuth2, content: object) -> Grant:
    answer = judge(scheme, 200, json.dumps(content).encode(), now=NOW)
    assert isinstance(answer, Grant), answer
    return answer


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        ("s", 3600, NOW + 3600),
        ("ms", 3_600_000, NOW + 3600),
        ("epoch_s", NOW + 60, NOW + 60),
        ("epoch_ms", (NOW + 60) * 1000, NOW + 60),
        ("date", "2023-11-14T22:13:21Z", NOW + 1),
        ("date", "2023-11-14T22:13:21", NOW + 1),
        ("date", "Tue, 14 Nov 2023 22:13:21 GMT", NOW + 1),
        ("date", "soon", None),
        ("date", 5, None),
        ("s", NOW + 60, NOW + 60),  # declared as seconds, but an epoch all the same
        ("ms", "never", None),
    ],
)
def test_an_end_is_read_in_the_declared_unit(unit: Unit, value: object, expected: float | None) -> None:
    scheme = OAuth2(answer=TokenAnswer(expires="ends", expires_unit=unit))
    assert grant(scheme, {"access_token": "a", "ends": value}).expires_at == expected


def test_a_token_may_stand_in_one_of_several_places() -> None:
    slack = OAuth2(
        answer=TokenAnswer(access_token=("access_token", "authed_user.access_token"), keep={"team": "team.id"})
    )
    assert grant(slack, {"ok": True, "access_token": "bot", "team": {"id": "T1"}}).access_token == Secret("bot")
    user = grant(slack, {"ok": True, "authed_user": {"access_token": "user"}, "team": {"id": "T1"}})
    assert (user.access_token, user.variables) == (Secret("user"), {"team": "T1"})


def test_kept_extras_have_the_declared_form_or_are_left_out() -> None:
    host = Variable(pattern=r"https://([a-z0-9-]+\.my\.salesforce\.com)/?", default="login.salesforce.com")
    scheme = OAuth2(variables={"instance": host}, answer=TokenAnswer(keep={"instance": "instance_url", "id": "id"}))
    good = {"access_token": "a", "instance_url": "https://acme.my.salesforce.com", "id": "x"}
    assert grant(scheme, good).variables == {"instance": "acme.my.salesforce.com", "id": "x"}
    hostile: object
    for hostile in ("https://evil.example", "https://acme.my.salesforce.com@evil.example", 5, None, "a\nb"):
        assert "instance" not in grant(scheme, {**good, "instance_url": hostile}).variables


def test_further_secrets_of_an_answer_are_kept_apart() -> None:
    scheme = OAuth2(answer=TokenAnswer(secrets={"webhook_secret": "hook.secret"}))
    found = grant(scheme, {"access_token": "a", "refresh_token": "r", "hook": {"secret": "h"}})
    assert found.fields() == {
        "access_token": Secret("a"),
        "refresh_token": Secret("r"),
        "webhook_secret": Secret("h"),
    }


def test_a_null_refresh_token_is_none() -> None:
    assert grant(OAuth2(), {"access_token": "a", "refresh_token": None}).refresh_token is None


def test_an_advised_moment_to_refresh_is_kept() -> None:
    assert grant(OAuth2(), {"access_token": "a", "refresh_in": 1800}).refresh_at == NOW + 1800


def test_rules_can_look_at_any_place_of_an_answer() -> None:
    entra = OAuth2(token_errors=[TokenRule("misconfigured", body={"error_codes[*]": "^7000222$"})])
    content = {"error": "invalid_grant", "error_codes": [7000222]}
    answer = judge(entra, 400, json.dumps(content).encode())
    assert isinstance(answer, Refusal)
    assert answer.verdict == "misconfigured"
    other = judge(entra, 400, json.dumps({**content, "error_codes": [70008]}).encode())
    assert isinstance(other, Refusal)
    assert other.verdict == "dead"


def test_what_a_person_has_to_settle_does_not_end_the_grant() -> None:
    answer = judge(OAuth2(), 400, b'{"error": "interaction_required"}')
    assert isinstance(answer, Refusal)
    assert answer.verdict == "interaction"


def test_a_bearer_token_is_refused_where_a_bound_one_was_asked_for() -> None:
    bound = dataclasses.replace(OAuth2(), dpop=True)
    answer = judge(bound, 200, b'{"access_token": "a", "token_type": "Bearer"}')
    assert isinstance(answer, Refusal)
    assert answer.code == "token_not_bound"


def test_an_error_in_a_place_of_its_own_is_found() -> None:
    scheme = OAuth2(answer=TokenAnswer(error=("errors[0].title",)), token_errors=[TokenRule("dead", code="Gone")])
    answer = judge(scheme, 403, b'{"errors": [{"title": "Gone"}]}')
    assert isinstance(answer, Refusal)
    assert (answer.verdict, answer.code) == ("dead", "Gone")
