"""A provider's error table as data: where its answers keep what, and rows of conditions, each with its verdict."""

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import lru_cache

from clew.core.errors import Code, ConfigurationError, Outcome, Retry
from clew.core.fields import as_object, as_text, look_all, steps
from clew.core.response import Response
from clew.core.shapes import of_markup
from clew.core.values import dataclass
from clew.core.waits import Reset

OK, ACCEPTED = "ok", "accepted"
"""Codes of success. Accepted is not done: its end comes later, by an event or a read."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an answer was judged: a code, and what the agent should know beyond the code's own words.

    `code` `None` (or `ok`) means success, `accepted` a success whose end comes later. `retry_after` is in seconds.
    `outcome` and `retry` only where the code does not say it by itself. `fields` are the arguments the provider
    complains about, each with why. In `next_step`, `{account}` becomes the account's name, quoted for a command.
    `object_id` is the provider's name of the object concerned.
    """

    code: str | None
    message: str | None = None
    next_step: str | None = None
    retry_after: float | None = None
    url: str | None = None
    outcome: Outcome | None = None
    fields: Mapping[str, str] | None = None
    retry: Retry | None = None
    object_id: str | None = None

    @property
    def success(self) -> bool:
        """Did the provider do what was asked, or take it on?"""
        return self.code in (None, OK, ACCEPTED)


_LINK = re.compile(r"https://[^\s;,\"'<>\x00-\x20\x7f-\U0010ffff]+")
_CODES = frozenset({*(code.value for code in Code), OK, ACCEPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of a provider's error table: when all conditions hold, the answer means `code`.

    `status` is one status or several; without it only 4xx and 5xx are looked at. `codes` are the provider's machine
    codes, separated by spaces (or a tuple, where they hold spaces); one of those that stand at the paths of
    `ErrorMap.provider_code` must be among them, in any case of letters; a `*` at the end stands for any rest. `text` is
    a regular expression searched in the body, case-insensitively. `headers` and `body` map a header name or a field
    path (`errors[*].code`) to a regular expression that the whole value must match, as JSON writes it (`true`, `null`,
    `7`). `retry_after` (seconds) is a penalty for answers that do not say how long to wait. `url` names the header that
    holds the link for a person; the first URL in it is taken. `not_applied=True` states that the provider did nothing,
    for answers whose status alone would leave that open. `name` is what `clew explain` calls the row.
    """

    code: str
    status: int | tuple[int, ...] = ()
    codes: str | tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Mapping[str, str] = field(default_factory=dict[str, str])
    message: str | None = None
    next_step: str | None = None
    retry_after: float | None = None
    retry: Retry | None = None
    url: str | None = None
    not_applied: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.code not in _CODES:
            raise ConfigurationError(f"an error rule names the unknown code {self.code!r}.")
        for path in self.body:
            steps(path)
        for pattern in (self.text or "", *self.headers.values(), *self.body.values()):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigurationError(f"an error rule's pattern {pattern!r} does not compile: {error}.") from error

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses it is about; empty means every 4xx and 5xx."""
        return (self.status,) if isinstance(self.status, int) else self.status

    @property
    def label(self) -> str:
        """The row in words: its name, else its conditions."""
        if self.name:
            return self.name
        statuses = list(map(str, self.statuses))
        several = [*statuses[:3], "…", statuses[-1]] if len(statuses) > 6 else statuses
        words = self.codes if isinstance(self.codes, str) else ", ".join(self.codes)
        said = (
            ("status", "|".join(several)),
            ("code", words if len(words) <= 60 else words[:59] + "…"),
            ("method", "|".join(self.methods)),
            *((f"header {name}", pattern) for name, pattern in self.headers.items()),
            *((path, pattern) for path, pattern in self.body.items()),
            ("text", self.text or ""),
        )
        return ", ".join(f"{what} {value}" for what, value in said if value) + f" → {self.code}"

    def about(self, status: int) -> bool:
        """Can this row speak of answers with `status` at all?"""
        statuses = self.statuses
        return status in statuses if statuses else status >= 400

    def matches(self, response: Response, codes: frozenset[str] = frozenset()) -> bool:
        """Do all conditions hold for `response`, whose machine codes (lower case) are `codes`?"""
        return self.about(response.status) and self.fits(response, codes)

    def fits(self, response: Response, codes: frozenset[str]) -> bool:
        """Do the conditions besides the status hold? `codes` are the answer's machine codes in lower case."""
        return (
            (not self.methods or response.method in self.methods)
            and (not self.codes or _among(codes, self.codes))
            and all(_header(response, name, pattern) for name, pattern in self.headers.items())
            and all(_body(response, path, pattern) for path, pattern in self.body.items())
            and (self.text is None or re.search(self.text, response.text, re.IGNORECASE) is not None)
        )

    def verdict(self, response: Response) -> Verdict:
        """The verdict this rule gives."""
        link = _LINK.search(response.headers.get(self.url, "")) if self.url else None
        outcome = Outcome.NOT_APPLIED if self.not_applied else None
        code = None if self.code == OK else self.code
        return Verdict(
            code, self.message, self.next_step, self.retry_after, link[0] if link else None, outcome, retry=self.retry
        )


def _header(response: Response, name: str, pattern: str) -> bool:
    value = response.headers.get(name)
    return value is not None and re.fullmatch(pattern, value.strip(), re.IGNORECASE) is not None


def _body(response: Response, path: str, pattern: str) -> bool:
    found = look_all(response.data, path)
    return any(re.fullmatch(pattern, as_text(value), re.IGNORECASE) is not None for value in found)


def _among(found: frozenset[str], codes: str | tuple[str, ...]) -> bool:
    exact, prefixes = _words(codes)
    return not exact.isdisjoint(found) or any(code.startswith(prefixes) for code in found if prefixes)


@lru_cache(maxsize=4096)
def _words(codes: str | tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The declared codes in lower case: those to compare whole, and the beginnings of those with a `*`."""
    words = [word.lower() for word in (codes.split() if isinstance(codes, str) else codes)]
    return (
        frozenset(word for word in words if not word.endswith("*")),
        tuple(word[:-1] for word in words if word.endswith("*")),
    )


Hook = Callable[[Response], Verdict | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMap:
    """A provider's errors as data: where its answers keep message, machine code and request id, and the rules.

    `hook` is for what rules cannot say; it is asked first and returns `None` when it has no opinion. `resets` say where
    a refusal tells how long to wait when it has no `Retry-After`. `buckets` name the headers or body paths that say
    which budget was exceeded. `advice` names a header with which the provider overrides all rules on repeating
    (`Stripe-Should-Retry`): `true` or `false`.
    """

    message: tuple[str, ...] = (
        "message", "error.message", "error_description", "error", "detail", "title", "errors[0].message",
        "errors[0].detail",
    )  # fmt: skip
    provider_code: tuple[str, ...] = (
        "code", "error.code", "error.type", "error", "type", "errors[0].extensions.code", "errors[0].code",
    )  # fmt: skip
    request_id: tuple[str, ...] = ("x-request-id", "request-id")
    rules: tuple[Rule, ...] = ()
    hook: Hook | None = None
    resets: tuple[Reset, ...] = ()
    buckets: tuple[str, ...] = ()
    advice: str | None = None
    _plans: dict[int, tuple[Rule, ...]] = field(default_factory=dict[int, tuple[Rule, ...]], init=False, repr=False)
    _heads: set[str | int] = field(default_factory=set[str | int], init=False, repr=False)

    def __post_init__(self) -> None:
        for path in self.message:
            steps(path)
        self._heads.update(steps(path)[0] for path in self.provider_code)

    def rules_for(self, status: int) -> tuple[Rule, ...]:
        """The rules that can speak of `status`, in their order; found once and kept."""
        plan = self._plans.get(status)
        if plan is None:
            plan = self._plans[status] = tuple(rule for rule in self.rules if rule.about(status))
        return plan

    def codes(self, response: Response) -> frozenset[str]:
        """The machine codes of an answer, in lower case: scalars at the declared paths, else what its shape says."""
        keyed = as_object(response.data)
        if keyed is not None and self._heads.isdisjoint(keyed):
            return frozenset()
        found = {
            as_text(value).lower()
            for path in self.provider_code
            for value in look_all(response.data, path)
            if isinstance(value, str | int) and not isinstance(value, bool)
        }
        if not found and (response.data is None or isinstance(response.data, str | bytes)):
            problem = of_markup(response, success=response.status < 300)
            return frozenset(code.lower() for code in problem.codes) if problem else frozenset()
        return frozenset(found)
