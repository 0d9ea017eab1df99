"""Every way a call can end badly, grouped by who can act.

    ClewError
    ├─ ConfigurationError          the operator: settings, files, names. Never shown to an agent as a tool result.
    └─ CallError                   code                 outcome       retry
       ├─ AgentError               the agent can act    not_applied
       │  ├─ InvalidInputError     invalid_input                      after_fix
       │  ├─ NotFoundError         not_found                          after_fix
       │  ├─ ConflictError         conflict                           after_fix
       │  └─ AlreadyDoneError      already_done         applied       no
       ├─ PersonError              a person can act     not_applied
       │  ├─ AuthRevokedError      auth_revoked                       after_human
       │  ├─ PermissionDeniedError permission                         after_human
       │  ├─ ActionRequiredError   action_required                    after_human
       │  ├─ ApprovalRequiredError approval_required                  after_human
       │  ├─ DeniedError           denied                             no
       │  └─ QuotaExhaustedError   quota_exhausted                    after_human
       ├─ TimeError                time will help       not_applied
       │  ├─ RateLimitError        rate_limited                       after
       │  ├─ TransientError        transient                          same_call
       │  ├─ ProviderDownError     provider_down                      after
       │  └─ AuthExpiredError      auth_expired                       same_call
       ├─ OutcomeUnknownError      outcome_unknown      unknown       no
       └─ OursError                nobody outside       not_applied
          ├─ ContractChangedError  contract_changed                   no
          └─ InternalError         internal                           no

Codes, outcomes and retry words are part of the interface; sentences are not. `outcome` answers one question: did the
world change? An error raised after a write was answered with success carries `applied`, whatever its code.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar


class Code(StrEnum):
    """The machine-readable name of an ending."""

    INVALID_INPUT = "invalid_input"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    ALREADY_DONE = "already_done"
    AUTH_REVOKED = "auth_revoked"
    PERMISSION = "permission"
    ACTION_REQUIRED = "action_required"
    APPROVAL_REQUIRED = "approval_required"
    DENIED = "denied"
    QUOTA_EXHAUSTED = "quota_exhausted"
    RATE_LIMITED = "rate_limited"
    TRANSIENT = "transient"
    PROVIDER_DOWN = "provider_down"
    AUTH_EXPIRED = "auth_expired"
    OUTCOME_UNKNOWN = "outcome_unknown"
    CONTRACT_CHANGED = "contract_changed"
    INTERNAL = "internal"


class Outcome(StrEnum):
    """Did the call change the world?"""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


class Retry(StrEnum):
    """When calling again can help."""

    NO = "no"
    SAME_CALL = "same_call"
    AFTER = "after"
    AFTER_FIX = "after_fix"
    AFTER_HUMAN = "after_human"


class ClewError(Exception):
    """The root of everything clew raises on purpose."""


class ConfigurationError(ClewError):
    """A setting, a file or a name on the command line is wrong; the message says which and what to do."""


class CallError(ClewError):
    """A call that did not succeed, in words an agent can act on.

    `message` is one sentence of ours. Whatever came from the provider goes into `provider_code` and
    `provider_message` and is shown as a labelled quotation: it is data from outside and may be hostile.
    `retry_after` is in seconds. `object_id` is the provider's name of the object concerned, by which an event finds it.
    """

    code: ClassVar[Code] = Code.INTERNAL
    default_outcome: ClassVar[Outcome] = Outcome.NOT_APPLIED
    default_retry: ClassVar[Retry] = Retry.NO
    default_next: ClassVar[str] = "Report this to the person who runs the server, with the reference."

    def __init__(
        self,
        message: str,
        *,
        next_step: str | None = None,
        outcome: Outcome | None = None,
        retry: Retry | None = None,
        retry_after: float | None = None,
        url: str | None = None,
        fields: Mapping[str, str] | None = None,
        status: int | None = None,
        provider_code: str | None = None,
        provider_message: str | None = None,
        request_id: str | None = None,
        object_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step or self.default_next
        self.outcome = outcome or self.default_outcome
        self.retry = retry or (Retry.AFTER if retry_after is not None else self.default_retry)
        self.retry_after = retry_after
        self.url = url
        self.fields = {quote(name, 100): quote(why) for name, why in (fields or {}).items()}
        self.status = status
        self.provider_code = quote(provider_code, 100) if provider_code else None
        self.provider_message = quote(provider_message) if provider_message else None
        self.request_id = quote(request_id, 100) if request_id else None
        self.object_id = quote(object_id, 250) if object_id else None
        self.reference: str | None = None
        self.result: Mapping[str, Any] | None = None  # of the same action done before

    def as_dict(self) -> dict[str, Any]:
        """The structured form: only the keys that say something, always in the same order."""
        facts: dict[str, Any] = {
            "code": self.code.value,
            "outcome": self.outcome.value,
            "message": self.message,
            "retry": self.retry.value,
            "retry_after_seconds": None if self.retry_after is None else round(self.retry_after, 1),
            "next": self.next_step,
            "url": self.url,
            "fields": self.fields or None,
            "provider_status": self.status,
            "provider_code": self.provider_code,
            "provider_message": self.provider_message,
            "provider_request_id": self.request_id,
            "reference": self.reference,
            "result": self.result,
        }
        return {key: value for key, value in facts.items() if value is not None}

    def as_text(self) -> str:
        """The same facts for a reader: the sentence first, then one `key: value` a line."""
        facts = self.as_dict()
        lines = [facts.pop("message")]
        for key, value in facts.items():
            shown = "; ".join(f"{name}: {why}" for name, why in self.fields.items()) if key == "fields" else value
            lines.append(f'{key}: "{shown}"' if key == "provider_message" else f"{key}: {shown}")
        return "\n".join(lines)


def quote(text: str, limit: int = 300) -> str:
    """Make foreign text safe to show: one line, no control characters, at most `limit` characters."""
    printable = "".join(char if char.isprintable() else " " for char in text[: limit * 4])
    flat = " ".join(printable.replace('"', "'").split())
    whole = len(flat) <= limit and len(text) <= limit * 4
    return flat if whole else flat[: limit - 1] + "…"


class AgentError(CallError):
    """The agent can act: other arguments, another object, another tool."""

    default_retry = Retry.AFTER_FIX


class InvalidInputError(AgentError):
    """The arguments are wrong, by our schema or by the provider's judgement."""

    code = Code.INVALID_INPUT
    default_next = "Change the arguments and call again."


class NotFoundError(AgentError):
    """The object does not exist, or these credentials may not see it."""

    code = Code.NOT_FOUND
    default_next = "Check the identifiers with a search or list tool; the account may also lack access to the object."


class ConflictError(AgentError):
    """The object is in a state that forbids the action, or changed since it was read."""

    code = Code.CONFLICT
    default_next = "Read the object again, then decide."


class AlreadyDoneError(AgentError):
    """The world already is as the call wanted it."""

    code = Code.ALREADY_DONE
    default_outcome = Outcome.APPLIED
    default_retry = Retry.NO
    default_next = "Nothing to do. Read the object to confirm."


class PersonError(CallError):
    """A person must act: log in, grant, pay, approve."""

    default_retry = Retry.AFTER_HUMAN


class AuthRevokedError(PersonError):
    """The credentials are missing, dead or refused for good; only a new login helps."""

    code = Code.AUTH_REVOKED
    default_next = "Ask the person to connect the account again."


class PermissionDeniedError(PersonError):
    """The account is known and may not do this."""

    code = Code.PERMISSION
    default_next = "Ask the person to grant the missing right, or use another account."


class ActionRequiredError(PersonError):
    """The provider wants a person's act first, at `url`: 3-D Secure, consent, single sign-on."""

    code = Code.ACTION_REQUIRED
    default_next = "Give the link to the person. Do not start the action a second time."


class ApprovalRequiredError(PersonError):
    """Policy wants a person's approval and this host cannot ask for it."""

    code = Code.APPROVAL_REQUIRED
    default_next = "Ask the person to run the action from their own terminal."


class DeniedError(PersonError):
    """A person or the policy said no."""

    code = Code.DENIED
    default_retry = Retry.NO
    default_next = "Do not try again. Ask the person what they want instead."


class QuotaExhaustedError(PersonError):
    """A plan, a credit or a daily allowance is used up; waiting minutes will not help."""

    code = Code.QUOTA_EXHAUSTED
    default_next = "Tell the person which allowance is used up; it resets with the plan or by payment."


class TimeError(CallError):
    """The same call can succeed later."""

    default_retry = Retry.SAME_CALL
    default_next = "Make the same call again in a moment."


class RateLimitError(TimeError):
    """The provider's rate limit is reached; `retry_after` seconds say when to call again."""

    code = Code.RATE_LIMITED
    default_retry = Retry.AFTER
    default_next = "Wait, then make the same call again."


class TransientError(TimeError):
    """A passing fault between us and the provider, or inside it."""

    code = Code.TRANSIENT


class ProviderDownError(TimeError):
    """The provider cannot be reached or answers nothing but faults."""

    code = Code.PROVIDER_DOWN
    default_retry = Retry.AFTER
    default_next = "Wait a few minutes, then make the same call again."


class AuthExpiredError(TimeError):
    """The access token is no longer accepted; ours to refresh. An agent sees it only when that failed for now."""

    code = Code.AUTH_EXPIRED


class OutcomeUnknownError(CallError):
    """A write left and its answer was lost: it may or may not have happened."""

    code = Code.OUTCOME_UNKNOWN
    default_outcome = Outcome.UNKNOWN
    default_next = "Read the current state before doing anything else. Do not repeat the call blindly."


class OursError(CallError):
    """Nobody outside can act: the connector or the framework must change."""


class ContractChangedError(OursError):
    """The provider's answer no longer has the shape this connector was built for."""

    code = Code.CONTRACT_CHANGED
    default_next = "Report it to the person who runs the server: the connector needs an update."


class InternalError(OursError):
    """A fault of ours; the log holds the details under the reference."""


ERRORS: Mapping[Code, type[CallError]] = {
    error.code: error
    for error in (
        InvalidInputError,
        NotFoundError,
        ConflictError,
        AlreadyDoneError,
        AuthRevokedError,
        PermissionDeniedError,
        ActionRequiredError,
        ApprovalRequiredError,
        DeniedError,
        QuotaExhaustedError,
        RateLimitError,
        TransientError,
        ProviderDownError,
        AuthExpiredError,
        OutcomeUnknownError,
        ContractChangedError,
        InternalError,
    )
}
"""The class of each code."""
