"""Kubernetes' protobuf encoding of request bodies, which kubectl and client-go use for typed writes; answers are always JSON.

Lives here: the envelope, the wire format, the field numbers (``fields.json``, made by ``scripts/protobuf_fields.py``).
Does not live here: checks of documents; what comes out is checked like any JSON body.
"""

from moorage.api.protobuf.envelope import decode

__all__ = ["decode"]
