"""Words and sentences that many providers share."""

import pytest

from clew.core.errors import Code
from clew.core.words import implied, meaning, plain


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (400, "RATE_LIMITED", Code.RATE_LIMITED),
        (403, "rateLimitExceeded", Code.RATE_LIMITED),
        (403, "expired_token", Code.AUTH_EXPIRED),
        (403, "unauthorized", None),
        (403, "invalid_request", None),
        (403, "internal_error", None),
        (401, "insufficient_scope", Code.PERMISSION),
        (401, "forbidden", None),
        (401, "token-revoked", Code.AUTH_REVOKED),
        (404, "invalid", None),
        (404, "https://errors.acme.example/not-found/", Code.NOT_FOUND),
        (409, "already_exists", Code.ALREADY_DONE),
        (409, "internal", None),
        (429, "quota_exceeded", Code.QUOTA_EXHAUSTED),
        (429, "forbidden", None),
        (500, "NOT_FOUND", None),
        (500, "Throttled", Code.RATE_LIMITED),
        (503, "maintenance", Code.PROVIDER_DOWN),
        (200, "INTERNAL_SERVER_ERROR", Code.TRANSIENT),
        (400, "com.example.v1#ConditionalCheckFailedException", Code.CONFLICT),
        (400, "something new", None),
    ],
)
def test_a_word_may_say_only_what_fits_its_status(status: int, word: str, code: Code | None) -> None:
    found = meaning((word,), status)
    assert (found[0] if found else None) == code


def test_a_shape_that_sends_everything_with_500_is_read_by_its_words() -> None:
    assert meaning(("NOT_FOUND",), 500, fault=True) == (Code.NOT_FOUND, "NOT_FOUND")


def test_the_first_known_word_counts() -> None:
    assert meaning(("odd", "not_found", "conflict"), 400) == (Code.NOT_FOUND, "not_found")
    assert meaning((), 400) is None


@pytest.mark.parametrize(
    ("status", "sentence", "code"),
    [
        (403, "API rate limit exceeded for you", Code.RATE_LIMITED),
        (400, "You have exceeded the request limit", Code.RATE_LIMITED),
        (403, "Too many requests", Code.RATE_LIMITED),
        (429, "Too many requests", None),
        (400, "Rate exceeded", Code.RATE_LIMITED),
        (403, "You have exceeded the rate limit per second for your plan", Code.RATE_LIMITED),
        (400, "The maximum number of hourly API invocations has been exceeded.", Code.RATE_LIMITED),
        (200, "Too many requests, try again", Code.RATE_LIMITED),
        (400, "Error validating access token: session has expired on Friday", Code.AUTH_EXPIRED),
        (403, "The security token included in the request is expired", Code.AUTH_EXPIRED),
        (400, "The page token has expired", None),
        (200, "The provided API key is invalid", Code.AUTH_REVOKED),
        (400, "Your credit balance is too low", Code.QUOTA_EXHAUSTED),
        (429, "Daily limit reached", Code.QUOTA_EXHAUSTED),
        (401, "Maximum credits exceeded", Code.QUOTA_EXHAUSTED),
        (400, "Cannot query field 'x' on type 'Y'", Code.CONTRACT_CHANGED),
        (403, "API version 3 is no longer supported", None),
        (403, "You may not read rate limits", None),
        (404, "Too many requests", None),
        (500, "Too many requests", None),
        (400, "", None),
        (400, "Name is too long", None),
    ],
)
def test_a_sentence_can_reveal_a_limit(status: int, sentence: str, code: Code | None) -> None:
    assert implied(sentence, status) == code


def test_a_word_is_compared_without_case_and_punctuation() -> None:
    assert plain("Rate-Limit_Exceeded!") == plain("rateLimitExceeded") == "ratelimitexceeded"
