"""Which form an answer takes, and which forms a body may have.

* ``for_resource(accept, watch=False)`` -> ``Accepted``: how to answer a resource request. Raises ApiError 406.
* ``for_discovery(accept)``, ``for_openapi_v2(accept)``, ``for_openapi_v3(accept)``: the same for those documents.
* ``media_type(content_type)``: the bare, lower-case type of a request body ("" means JSON).
* ``unsupported_media_type()``: the 415 for other bodies. ``PATCH_TYPES`` are those of patches.

Every answer is remembered by header value: clients send few different ones, so a request costs a dict lookup.
Source: apiserver's NegotiateMediaTypeOptions; quality values as RFC 9110, 12.4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from moorage.api.errors import ApiError

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
"""Read, never written."""
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
PATCH_TYPES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
OPENAPI_V2_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_OPENAPI_V2: Final = (JSON, OPENAPI_V2_PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
"""The last is how kubectl asks; it is no media type (RFC 6838 has no "@"), so answers are called by the other name."""

_CONVERSIONS: Final = frozenset(
    ("meta.k8s.io", version, kind)
    for version in ("v1", "v1beta1")
    for kind in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
)
_DISCOVERIES: Final = frozenset(
    ("apidiscovery.k8s.io", version, "APIGroupDiscoveryList") for version in ("v2", "v2beta1")
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The agreed form. ``kind`` is what to convert to ("" for nothing: the object itself), ``version`` its version."""

    media_type: str = JSON
    kind: str = ""
    group: str = ""
    version: str = ""
    pretty: bool = False

    @property
    def plain(self) -> bool:
        """Whether stored bytes can be sent as they are."""
        return not self.kind and not self.pretty and self.media_type == JSON

    @property
    def content_type(self) -> str:
        """The Content-Type of the answer; names the conversion where clients need it to tell (discovery)."""
        if self.group == "apidiscovery.k8s.io":
            return f"{self.media_type};g={self.group};v={self.version};as={self.kind}"
        return self.media_type


_DEFAULT: Final = Accepted()


def for_resource(accept: str, watch: bool = False) -> Accepted:
    """How to answer a request for objects. ``watch``: YAML cannot be streamed."""
    return _DEFAULT if accept in ("", "*/*", JSON) else _for_resource(accept, watch)


@lru_cache(1024)
def _for_resource(accept: str, watch: bool) -> Accepted:
    return _choose(accept, (JSON,) if watch else (JSON, YAML), _CONVERSIONS)


@lru_cache(256)
def for_discovery(accept: str) -> Accepted:
    """How to answer ``/api`` and ``/apis``: the old lists, or the aggregated discovery document."""
    return _choose(accept, (JSON, YAML), _DISCOVERIES)


@lru_cache(256)
def for_openapi_v2(accept: str) -> Accepted:
    """How to answer ``/openapi/v2``: JSON, or the protobuf that kubectl asks for."""
    return _choose(accept, _OPENAPI_V2, frozenset())


@lru_cache(256)
def for_openapi_v3(accept: str) -> Accepted:
    """How to answer ``/openapi/v3``: JSON. A client that takes nothing but protobuf gets 406."""
    return _choose(accept, (JSON,), frozenset())


@lru_cache(256)
def media_type(content_type: str) -> str:
    """The type of a body without parameters; JSON where the header is missing or empty."""
    bare = content_type.partition(";")[0].strip().lower()
    return bare or JSON


def unsupported_media_type(supported: tuple[str, ...] = (JSON, YAML)) -> ApiError:
    """415, with Kubernetes' text."""
    listed = ", ".join(supported)
    return ApiError(415, f"the body of the request was in an unknown format - accepted media types include: {listed}")


def not_acceptable(supported: tuple[str, ...] = (JSON, YAML)) -> ApiError:
    """406, with Kubernetes' text."""
    return ApiError(406, f"only the following media types are accepted: {', '.join(supported)}")


@dataclass(frozen=True, slots=True)
class _Clause:
    type: str
    parameters: dict[str, str]
    quality: float


def _choose(accept: str, supported: tuple[str, ...], conversions: frozenset[tuple[str, str, str]]) -> Accepted:
    if not accept.strip():
        return _DEFAULT
    for clause in sorted(_clauses(accept), key=lambda each: (-each.quality, _breadth(each.type))):
        if clause.quality <= 0:
            continue
        found = next((each for each in supported if _covers(clause.type, each)), None)
        if found is None:
            continue
        accepted = _with_parameters(found, clause.parameters, conversions)
        if accepted is not None:
            return accepted
    raise not_acceptable(supported)


def _with_parameters(
    found: str, parameters: dict[str, str], conversions: frozenset[tuple[str, str, str]]
) -> Accepted | None:
    """The form that a clause asks for, or None where that conversion is not offered."""
    kind = parameters.get("as", "")
    group, version = parameters.get("g", ""), parameters.get("v", "")
    if kind and (group, version, kind) not in conversions:
        return None
    if parameters.get("stream", "watch") != "watch":
        return None
    pretty = parameters.get("pretty", "") in ("1", "true")
    return Accepted(found, kind, group if kind else "", version if kind else "", pretty)


def _clauses(accept: str) -> Iterator[_Clause]:
    for part in accept.split(","):
        name, *rest = (piece.strip() for piece in part.split(";"))
        if not name:
            continue
        parameters: dict[str, str] = {}
        quality = 1.0
        for piece in rest:
            key, _, value = piece.partition("=")
            key, value = key.strip().lower(), value.strip().strip('"')
            if key == "q":
                quality = _quality(value)
            elif key:
                parameters[key] = value
        yield _Clause(name.lower(), parameters, quality)


def _quality(text: str) -> float:
    """A weight between 0 and 1; 0 for what is none, so that a broken clause is passed over."""
    digits = text.replace(".", "", 1)
    if not digits.isascii() or not digits.isdigit() or len(text) > 6:
        return 0.0
    return min(float(text), 1.0)


def _breadth(name: str) -> int:
    return 2 if name == "*/*" else 1 if name.endswith("/*") else 0


def _covers(pattern: str, name: str) -> bool:
    return pattern in ("*/*", name) or (pattern.endswith("/*") and name.startswith(pattern[:-1]))
