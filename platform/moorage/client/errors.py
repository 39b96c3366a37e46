"""What a call can end in besides success. One class for each ``Status`` reason that callers treat differently.

Source: API conventions, "Response Status Kind". ``AlreadyExists`` and ``Conflict`` share code 409 and are told apart by reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """Anything that this client raises about a request."""


class Unreachable(ClientError):
    """No answer came. ``sent`` says whether the request may have reached the server, so that its outcome is unknown."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class ApiError(ClientError):
    """The server's refusal. ``status`` is its ``Status`` document."""

    def __init__(self, code: int, status: Mapping[str, Any], retry_after: float | None = None) -> None:
        super().__init__(status.get("message") or f"the server answered {code}")
        self.code = code
        self.status = dict(status)
        self.retry_after = retry_after

    @property
    def reason(self) -> str:
        """``NotFound``, ``Conflict``, ...; "" where the server gave none."""
        return str(self.status.get("reason") or "")

    @property
    def message(self) -> str:
        """The server's sentence."""
        return str(self.args[0])

    @property
    def causes(self) -> list[dict[str, Any]]:
        """``details.causes``: field, reason and message of each broken rule."""
        details = self.status.get("details") or {}
        return list(details.get("causes") or ())


class BadRequest(ApiError):
    """400."""


class Unauthorized(ApiError):
    """401: the token is not accepted."""


class Forbidden(ApiError):
    """403: may not do this, or admission (quota, a terminating namespace) refuses it."""


class NotFound(ApiError):
    """404."""


class NotAllowed(ApiError):
    """405, 406 or 415: this server does not do this in this form."""


class Conflict(ApiError):
    """409: the object or a precondition changed; read again."""


class AlreadyExists(ApiError):
    """409 for a create."""


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""


class TooLarge(ApiError):
    """413."""


class Invalid(ApiError):
    """422: ``causes`` says which fields break which rules."""


class TooManyRequests(ApiError):
    """429: nothing was done, or a disruption is not allowed now."""


class InternalError(ApiError):
    """500."""


class Unavailable(ApiError):
    """502, 503, 504: the server cannot now."""


_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: NotAllowed,
    406: NotAllowed,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    415: NotAllowed,
    422: Invalid,
    429: TooManyRequests,
    500: InternalError,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def api_error(code: int, status: Mapping[str, Any], retry_after: float | None = None) -> ApiError:
    """The class for ``code`` and the reason in ``status``."""
    kind = _BY_CODE.get(code, ApiError)
    if code == 409 and status.get("reason") == "AlreadyExists":
        kind = AlreadyExists
    return kind(code, status, retry_after)


def from_status(status: Mapping[str, Any]) -> ApiError:
    """The error that a ``Status`` inside another document (watch ERROR, batch result) stands for."""
    details = status.get("details") or {}
    wait = details.get("retryAfterSeconds")
    return api_error(int(status.get("code") or 500), status, float(wait) if wait else None)


def is_temporary(error: BaseException) -> bool:
    """Whether the same request may succeed later without anybody changing it (an outage, a race, throttling)."""
    return isinstance(error, Unreachable | Conflict | TooManyRequests | InternalError | Unavailable | TimeoutError)
