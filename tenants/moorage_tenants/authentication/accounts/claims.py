"""What a ServiceAccount token holds. Source: KEP-1205 (bound tokens), KEP-4193 (nodes), ``serviceaccount/claims.go``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.api.contracts import Identity
from moorage_tenants.names import AUTHENTICATED

PRIVATE = "kubernetes.io"
LEGACY_ISSUER = "kubernetes/serviceaccount"
LEGACY_ID = "moorage.io/token-id"
"""Label of a token Secret, and claim of its token: a Secret made anew does not bring an old token back."""
USER_PREFIX = "system:serviceaccount:"
ALL_ACCOUNTS = "system:serviceaccounts"
_EXTRA = "authentication.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Ref:
    """An object by name and uid."""

    name: str
    uid: str

    @classmethod
    def read(cls, value: object) -> Ref | None:
        """From a claim; None for what is no reference."""
        if not isinstance(value, Mapping):
            return None
        name, uid = value.get("name"), value.get("uid", "")
        return cls(name, uid) if isinstance(name, str) and name and isinstance(uid, str) else None

    def claim(self) -> dict[str, str]:
        """As a claim."""
        return {"name": self.name, "uid": self.uid}


@dataclass(frozen=True, slots=True)
class Bound:
    """Whose token it is, and the objects that it lives and dies with."""

    namespace: str
    account: Ref
    pod: Ref | None = None
    secret: Ref | None = None
    node: Ref | None = None
    legacy_id: str = ""

    @property
    def user(self) -> str:
        """``system:serviceaccount:NAMESPACE:NAME``."""
        return f"{USER_PREFIX}{self.namespace}:{self.account.name}"

    def identity(self, token_id: str = "") -> Identity:
        """Who the account is."""
        extra: dict[str, Sequence[str]] = {}
        if self.pod is not None:
            extra[f"{_EXTRA}pod-name"], extra[f"{_EXTRA}pod-uid"] = (self.pod.name,), (self.pod.uid,)
        if self.node is not None:
            extra[f"{_EXTRA}node-name"], extra[f"{_EXTRA}node-uid"] = (self.node.name,), (self.node.uid,)
        if token_id:
            extra[f"{_EXTRA}credential-id"] = (f"JTI={token_id}",)
        groups = frozenset({ALL_ACCOUNTS, f"{ALL_ACCOUNTS}:{self.namespace}", AUTHENTICATED})
        return Identity(self.user, groups, self.account.uid, extra)

    def claim(self) -> dict[str, Any]:
        """The private claim ``kubernetes.io``."""
        claim: dict[str, Any] = {"namespace": self.namespace, "serviceaccount": self.account.claim()}
        for name, ref in (("pod", self.pod), ("secret", self.secret), ("node", self.node)):
            if ref is not None:
                claim[name] = ref.claim()
        return claim


def read(claims: Mapping[str, Any]) -> Bound | None:
    """What the claims of a verified token say; None where they are not those of a ServiceAccount."""
    if claims.get("iss") == LEGACY_ISSUER:
        return _legacy(claims)
    private = claims.get(PRIVATE)
    if not isinstance(private, Mapping):
        return None
    namespace, account = private.get("namespace"), Ref.read(private.get("serviceaccount"))
    if not isinstance(namespace, str) or account is None:
        return None
    refs = [Ref.read(private[name]) if name in private else None for name in ("pod", "secret", "node")]
    pod, secret, node = refs
    bound = Bound(namespace, account, pod, secret, node)
    unread = [
        name for name, ref in zip(("pod", "secret", "node"), refs, strict=True) if name in private and ref is None
    ]
    return bound if not unread and claims.get("sub") == bound.user else None


def legacy(bound: Bound) -> dict[str, Any]:
    """The claims of a token in a Secret of type ``kubernetes.io/service-account-token``."""
    assert bound.secret is not None
    prefix = f"{LEGACY_ISSUER}/"
    return {
        "iss": LEGACY_ISSUER,
        "sub": bound.user,
        f"{prefix}namespace": bound.namespace,
        f"{prefix}secret.name": bound.secret.name,
        f"{prefix}service-account.name": bound.account.name,
        f"{prefix}service-account.uid": bound.account.uid,
        LEGACY_ID: bound.legacy_id,
    }


def _legacy(claims: Mapping[str, Any]) -> Bound | None:
    names = ("namespace", "service-account.name", "service-account.uid", "secret.name")
    values = [claims.get(f"{LEGACY_ISSUER}/{name}") for name in names]
    values.append(claims.get(LEGACY_ID))
    namespace, name, uid, secret, token_id = (value if isinstance(value, str) else "" for value in values)
    bound = Bound(namespace, Ref(name, uid), secret=Ref(secret, ""), legacy_id=token_id)
    whole = namespace and name and uid and secret and token_id
    return bound if whole and claims.get("sub") == bound.user else None
