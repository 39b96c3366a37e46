"""Refusals as Kubernetes ``Status`` objects: one function for each reason, with Kubernetes' messages.

Source: API conventions, "Response Status Kind", and apimachinery's ``errors.go``. Codes say what the reader does next:
400 fix the request, 401 log in, 403 ask for the right, 404 check the name, 405/406/415 fix the call, 409 read again and retry,
410 list again, 413 send less, 422 fix the object, 429/503/504 wait and retry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources.kind import FieldError

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class ApiError(Exception):
    """A refusal on its way to the client. ``code`` is the HTTP status; ``headers`` are added to the answer."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str = "",
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason or REASONS.get(code, "")
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    def status(self) -> dict[str, Any]:
        """The ``Status`` document."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


def qualified(group: str, resource: str) -> str:
    """``pods`` or ``deployments.apps``, as messages name a resource."""
    return f"{resource}.{group}" if group else resource


def bad_request(message: str) -> ApiError:
    """400: the request itself is broken."""
    return ApiError(400, message)


def unauthorized() -> ApiError:
    """401: no valid credentials."""
    return ApiError(401, "Unauthorized")


def forbidden(group: str, resource: str, name: str, reason: str) -> ApiError:
    """403: ``reason`` says who may not do what, and where."""
    message = (
        f'{qualified(group, resource)} "{name}" is forbidden: {reason}'
        if name
        else f"{qualified(group, resource)} is forbidden: {reason}"
    )
    return ApiError(403, message, details=_details(group, resource, name))


def not_found(group: str, resource: str, name: str) -> ApiError:
    """404 for an object."""
    return ApiError(404, f'{qualified(group, resource)} "{name}" not found', details=_details(group, resource, name))


def no_such_path() -> ApiError:
    """404 for a path or kind that is not served."""
    return ApiError(404, "the server could not find the requested resource", details={})


def already_exists(group: str, resource: str, name: str) -> ApiError:
    """409 for a create of what is there."""
    return ApiError(
        409,
        f'{qualified(group, resource)} "{name}" already exists',
        reason="AlreadyExists",
        details=_details(group, resource, name),
    )


def conflict(group: str, resource: str, name: str, detail: str = "") -> ApiError:
    """409 for a stale resourceVersion or a failed precondition."""
    detail = detail or "the object has been modified; please apply your changes to the latest version and try again"
    return ApiError(
        409,
        f'Operation cannot be fulfilled on {qualified(group, resource)} "{name}": {detail}',
        details=_details(group, resource, name),
    )


def invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """422 with a cause for each broken rule."""
    text = str(errors[0]) if len(errors) == 1 else "[" + ", ".join(str(error) for error in errors) + "]"
    causes = [{"reason": error.reason, "message": error.message, "field": error.path} for error in errors]
    details = {"name": name, "group": group, "kind": kind, "causes": causes}
    return ApiError(
        422,
        f'{qualified(group, kind)} "{name}" is invalid: {text}',
        details={key: value for key, value in details.items() if value},
    )


def expired(message: str = "The resourceVersion for the provided watch is too old.") -> ApiError:
    """410: list again."""
    return ApiError(410, message)


def unavailable(message: str, retry_after: int = 1) -> ApiError:
    """503: nothing was done; try again after ``retry_after`` seconds."""
    return ApiError(503, message, details={"retryAfterSeconds": retry_after}, headers={"Retry-After": str(retry_after)})


def _details(group: str, resource: str, name: str) -> dict[str, str]:
    return {key: value for key, value in {"name": name, "group": group, "kind": resource}.items() if value}
