"""Forged credentials: certificate requests and tokens that claim to be what they are not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID


def signing_request(user: str, *groups: str) -> str:
    """A PEM certificate request for a user in groups."""
    name = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    name += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(name)).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def part(value: Any) -> str:
    """A part of a token: base64url of JSON, or of bytes and text as they are."""
    data = (
        value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else json.dumps(value).encode()
    )
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass(frozen=True)
class Signer:
    """An RSA key that signs whatever it is given."""

    key_id: str
    key: rsa.RSAPrivateKey

    @staticmethod
    def new(key_id: str) -> Signer:
        """With a key of its own."""
        return Signer(key_id, rsa.generate_private_key(65537, 2048))

    @property
    def public_pem(self) -> bytes:
        """The public key as everybody can have it."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form)

    def public_jwk(self) -> dict[str, Any]:
        """The public key as a JSON Web Key."""
        numbers = self.key.public_key().public_numbers()
        e, n = (part(value.to_bytes((value.bit_length() + 7) // 8)) for value in (numbers.e, numbers.n))
        return {"kty": "RSA", "kid": self.key_id, "use": "sig", "alg": "RS256", "e": e, "n": n}

    def token(self, claims: Any, **header: Any) -> str:
        """A token of ``claims`` (text: as it is), signed as RS256 whatever the header says."""
        head = {"alg": "RS256", "typ": "JWT", "kid": self.key_id, **header}
        signed = f"{part({name: value for name, value in head.items() if value is not None})}.{part(claims)}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{part(signature)}"

    def confused(self, claims: Any, secret: bytes, algorithm: str = "HS256") -> str:
        """A token whose "secret" is something public."""
        signed = f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': self.key_id})}.{part(claims)}"
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
        return f"{signed}.{part(hmac.new(secret, signed.encode(), digest).digest())}"


def unsigned(claims: Any, algorithm: str) -> list[str]:
    """Tokens without a signature, in the ways that were believed before."""
    head, body = part({"alg": algorithm, "typ": "JWT"}), part(claims)
    return [f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{part(b'x')}", f"{head}.{body}.{part('')}=="]
