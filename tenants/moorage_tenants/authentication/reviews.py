"""``POST tokenreviews``: who has a token, for others that are handed one. Source: KEP-460, ``tokenreview/storage.go``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moorage.api.answers import send_value
from moorage.api.bodies import object_body
from moorage.api.contracts import Identity
from moorage.api.errors import bad_request
from moorage.api.options import write_options
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.resources.authentication import TOKEN_REVIEW
from moorage_tenants.authentication.chain import Authentication


class TokenReviews:
    """The endpoint. ``audiences`` is who this API is."""

    def __init__(self, authentication: Authentication, audiences: Sequence[str]) -> None:
        self._authentication = authentication
        self._audiences = tuple(audiences)

    async def create(self, service: Service, request: Request) -> None:
        """Answer one review. Raises ApiError."""
        options = write_options(request.query, "CreateOptions")
        review = (await object_body(request, TOKEN_REVIEW, options.strictness))()
        spec: dict[str, Any] = review.get("spec") or {}
        token = spec.get("token") or ""
        if not token:
            raise bad_request("token is required for TokenReview in authentication")
        asked = tuple(spec.get("audiences") or ()) or self._audiences
        found = await self._authentication.review(token, asked)
        review["status"] = (
            _status(*found) if found is not None else {"authenticated": False, "error": "invalid bearer token"}
        )
        await send_value(request, review, 201)


def _status(identity: Identity, audiences: Sequence[str]) -> dict[str, Any]:
    return {"authenticated": True, "user": user_info(identity), "audiences": list(audiences)}


def user_info(identity: Identity) -> dict[str, Any]:
    """An identity as Kubernetes' ``UserInfo``."""
    info: dict[str, Any] = {"username": identity.name, "groups": sorted(identity.groups)}
    if identity.uid:
        info["uid"] = identity.uid
    if identity.extra:
        info["extra"] = {key: list(values) for key, values in identity.extra.items()}
    return info
