"""Encryption of documents at rest: data keys per namespace, the keys that encrypt those, and the rotation of both.

Lives here: ciphertext frames, key-encryption keys and where they come from (file, environment, a key management service), the
sealer that the store is given, the platform's root secret, and the work of a rotation.
Does not live here: SQL (``moorage.store``), the ``SealedSecret`` kind (``moorage_tenants.sealed_secrets``).
"""

from moorage_tenants.sealing.documents import DocumentSealer
from moorage_tenants.sealing.kek import BadKek, FileKek, Kek, KekSource, new_kek

__all__ = ["BadKek", "DocumentSealer", "FileKek", "Kek", "KekSource", "new_kek"]
