"""moorage.io/v1: Transactions and Batches, many writes in one request. They are carried out, not kept."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.kind import Kind, ResourceKey

GROUP = "moorage.io"


def _request_kind(kind: str, plural: str) -> Kind:
    return Kind(
        group=GROUP,
        version="v1",
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        namespaced=False,
        schema=f"io.moorage.v1.{kind}",
        storage=ResourceKey(GROUP, plural),
        name_rule=names.path_segment,
        verbs=("create",),
    )


TRANSACTION = _request_kind("Transaction", "transactions")
BATCH = _request_kind("Batch", "batches")
