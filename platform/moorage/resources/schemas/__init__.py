"""The published schemas: what fields a kind has, of which types, and how lists merge.

Lives here: the v1.36 definitions (from ``kubernetes-validate``), definitions of our own, decoding against them, and the
questions that patches, server-side apply and OpenAPI ask of them.
Does not live here: rules beyond types (each kind's own), defaults, the rendering of OpenAPI.
"""

from moorage.resources.schemas.compiled import Findings
from moorage.resources.schemas.decoding import (
    add_definition,
    cannot_be_handled,
    normalise,
    prune,
    type_errors,
    unknown_fields,
    warm,
)
from moorage.resources.schemas.definitions import (
    VERSION,
    Definitions,
    Node,
    definition,
    described,
    published,
    reachable,
    resolve,
)

__all__ = [
    "VERSION",
    "Definitions",
    "Findings",
    "Node",
    "add_definition",
    "cannot_be_handled",
    "definition",
    "described",
    "normalise",
    "prune",
    "published",
    "reachable",
    "resolve",
    "type_errors",
    "unknown_fields",
    "warm",
]
