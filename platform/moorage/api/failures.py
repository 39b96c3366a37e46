"""What goes wrong below the API, as refusals: each says whether anything may have been written."""

from __future__ import annotations

import logging

from moorage.api.errors import ApiError, bad_request, expired, unavailable
from moorage.store.contracts import Expired, OutcomeUnknown, Unavailable
from moorage.store.errors import InvalidDocument, SealBroken

log = logging.getLogger(__name__)


def refusal_of(error: Exception, request_id: str, what: str) -> ApiError:
    """The refusal that an exception becomes. One that nobody foresaw is logged and answered with 500 and the request's id."""
    match error:
        case ApiError():
            return error
        case Unavailable():
            return unavailable(f"the database cannot be reached, nothing was written: {error}")
        case OutcomeUnknown():
            return ApiError(504, f"the database went away, it is not known whether the write took place: {error}")
        case InvalidDocument():
            return bad_request(str(error))
        case Expired():
            return expired("The resourceVersion that was asked for is too old.")
        case SealBroken():
            log.error("%s: %s", what, error)
            return ApiError(500, "Internal error occurred: a sealed object cannot be decrypted")
    log.error("%s failed (request %s)", what, request_id, exc_info=error)
    return ApiError(500, f"Internal error occurred; the server's log names it by {request_id}")


def overdue() -> ApiError:
    """504: the request was given up."""
    return ApiError(504, "the request did not complete within its time; a write may have taken place")
