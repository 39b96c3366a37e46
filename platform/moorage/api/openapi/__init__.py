"""OpenAPI v3 and v2 of what is served, rendered from the registry and the published definitions.

* ``v3_index(registry)`` -> JSON bytes of ``/openapi/v3``: group versions with URLs that carry a hash of their contents.
* ``v3(registry, path)`` -> JSON bytes of ``/openapi/v3/PATH`` (``api/v1``, ``apis/apps/v1``), or None where nothing is served.
* ``v2(registry)`` -> JSON bytes of ``/openapi/v2`` (Swagger 2.0), or with ``protobuf=True`` gnostic's form of it.
* ``v3_hash(registry, path)`` and ``v2_hash(registry)``: strong ETags (without quotes), known without rendering. Where the query
  parameter ``hash`` of a v3 document equals it, the answer may be cached for ever.
* ``gzipped=True`` gives the same documents compressed: that is how they are kept, so it costs nothing.

Documents are rendered when first asked for and again when the registry changes; the rendered form is never kept in the clear.
Does not live here: HTTP, the definitions themselves.
"""

from moorage.api.openapi.publishing import v2, v2_hash, v3, v3_hash, v3_index

__all__ = ["v2", "v2_hash", "v3", "v3_hash", "v3_index"]
