"""authentication.k8s.io/v1: TokenReviews and TokenRequests, which are answered and not kept."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.resources import names
from moorage.resources.field_errors import invalid
from moorage.resources.kind import Document, FieldError, GroupVersionKind, Kind, ResourceKey, Subresource
from moorage.resources.printing import at

GROUP = "authentication.k8s.io"
SHORTEST = 600
LONGEST = 1 << 32
"""Seconds of ``spec.expirationSeconds``. Source: ``ValidateTokenRequest``."""


def token_request_errors(request: Document) -> Sequence[FieldError]:
    """How long a token may be asked for."""
    seconds = at(request, "spec.expirationSeconds", 3600)
    path = "spec.expirationSeconds"
    if seconds < SHORTEST:
        return [invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > LONGEST:
        return [invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


TOKEN_REVIEW = Kind(
    group=GROUP,
    version="v1",
    kind="TokenReview",
    plural="tokenreviews",
    singular="tokenreview",
    namespaced=False,
    schema="io.k8s.api.authentication.v1.TokenReview",
    storage=ResourceKey(GROUP, "tokenreviews"),
    name_rule=names.path_segment,
    verbs=("create",),
)

TOKEN_REQUEST = Kind(
    group=GROUP,
    version="v1",
    kind="TokenRequest",
    plural="tokenrequests",
    singular="tokenrequest",
    namespaced=True,
    schema="io.k8s.api.authentication.v1.TokenRequest",
    storage=ResourceKey(GROUP, "tokenrequests"),
    name_rule=names.path_segment,
    verbs=("create",),
    validate=token_request_errors,
)
"""The body of ``serviceaccounts/NAME/token``."""

TOKEN = Subresource("token", GroupVersionKind(GROUP, "v1", "TokenRequest"), ("create",))
