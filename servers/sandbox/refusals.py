"""How Acme says no: one error shape for the whole API."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

_TYPES = {
    401: "authentication_error",
    402: "card_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    412: "conflict_error",
    429: "rate_limit_error",
}


class RefusalError(Exception):
    """An answer that is an error: `{"error": {"type", "code", "message", "field"?}}` under an HTTP status."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.headers = dict(headers or {})
        self.details = dict(details or {})

    def answer(self) -> Response:
        """Return the refusal as an HTTP answer."""
        default = "api_error" if self.status >= 500 else "invalid_request_error"
        error: dict[str, Any] = {
            "type": _TYPES.get(self.status, default),
            "code": self.code,
            "message": str(self),
            **self.details,
        }
        if self.field is not None:
            error["field"] = self.field
        return JSONResponse({"error": error}, self.status, headers=self.headers)


def refuse_missing(kind: str, identifier: str) -> RefusalError:
    """Return the 404 for an object that does not exist (or was deleted)."""
    return RefusalError(404, "not_found", f"No such {kind}: {identifier[:80]}")
