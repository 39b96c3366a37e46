"""Acting as somebody else: ``Impersonate-User``, ``-Group``, ``-Uid`` and ``-Extra-KEY``. Each part needs the right to
``impersonate`` it; what is empty or not understood is refused, never passed over: a request that asks to be less than its
sender must not come out as its sender.

Source: ``apiserver/pkg/endpoints/filters/impersonation.go``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from moorage.api.contracts import Attributes, Identity
from moorage.api.errors import bad_request

PREFIX = b"impersonate-"
_USER, _GROUP, _UID, _EXTRA = b"impersonate-user", b"impersonate-group", b"impersonate-uid", b"impersonate-extra-"

ANONYMOUS = "system:anonymous"
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
ACCOUNT = "system:serviceaccount:"
ACCOUNTS = "system:serviceaccounts"
AUTHENTICATION = "authentication.k8s.io"
SCOPES = "tokens.moorage.io/scopes"
"""What a token is limited to (``Identity.extra``) goes along with whoever it acts as."""

Require = Callable[[Attributes], Awaitable[None]]
"""Raises ApiError 403 unless the attributes are allowed."""


@dataclass(slots=True)
class _Wanted:
    """What the headers ask for."""

    user: str = ""
    uid: str = ""
    groups: list[str] = field(default_factory=list)
    extra: dict[str, list[str]] = field(default_factory=dict)


def asked(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request wants to act as somebody else."""
    for name in headers:  # noqa: SIM110 - a generator costs three times as much, for every request
        if name.startswith(PREFIX):
            return True
    return False


async def acting_as(actor: Identity, headers: Iterable[tuple[bytes, bytes]], require: Require) -> Identity:
    """The identity that ``actor`` asks to be. Raises ApiError 400 and 403."""
    wanted = _read(headers)
    for attributes in _rights(actor, wanted):
        await require(attributes)
    extra: dict[str, Sequence[str]] = {key: tuple(values) for key, values in wanted.extra.items()}
    if SCOPES in actor.extra:
        extra[SCOPES] = actor.extra[SCOPES]
    return Identity(wanted.user, _groups(wanted), wanted.uid, extra, impersonator=actor.impersonator or actor.name)


def _read(headers: Iterable[tuple[bytes, bytes]]) -> _Wanted:
    wanted = _Wanted()
    for name, raw in headers:
        if not name.startswith(PREFIX):
            continue
        shown = name.decode("ascii", "replace").title()
        try:
            value = raw.decode()
        except UnicodeDecodeError:
            raise bad_request(f"{shown}: the value must be UTF-8") from None
        if not value.strip():
            raise bad_request(f"{shown}: a value is required; leave the header out to act as yourself")
        if name == _GROUP:
            wanted.groups.append(value)
        elif name.startswith(_EXTRA):
            wanted.extra.setdefault(_key(name), []).append(value)
        elif name in (_USER, _UID):
            if getattr(wanted, "user" if name == _USER else "uid"):
                raise bad_request(f"{shown}: may be given once only")
            if name == _USER:
                wanted.user = value
            else:
                wanted.uid = value
        else:
            raise bad_request(f"{shown}: there is no such header; use Impersonate-User, -Group, -Uid and -Extra-KEY")
    if not wanted.user:
        raise bad_request("Impersonate-User: a value is required where groups, a uid or extra fields are impersonated")
    return wanted


def _key(name: bytes) -> str:
    key = unquote(name.removeprefix(_EXTRA).decode("ascii", "replace")).lower()
    if not key:
        raise bad_request("Impersonate-Extra-: a key is required after the dash")
    if key == SCOPES:
        raise bad_request(f"Impersonate-Extra-{key}: the limits of a token cannot be changed by impersonation")
    return key


def _rights(actor: Identity, wanted: _Wanted) -> Iterator[Attributes]:
    """What ``actor`` must be allowed."""
    account = _account(wanted.user)
    if account is not None:
        yield Attributes(actor, "impersonate", "", "serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield Attributes(actor, "impersonate", "", "users", name=wanted.user)
    for group in wanted.groups:
        yield Attributes(actor, "impersonate", "", "groups", name=group)
    if wanted.uid:
        yield Attributes(actor, "impersonate", AUTHENTICATION, "uids", name=wanted.uid)
    for key, values in wanted.extra.items():
        for value in values:
            yield Attributes(actor, "impersonate", AUTHENTICATION, "userextras", key, name=value)


def _account(user: str) -> tuple[str, str] | None:
    """(namespace, name) of the ServiceAccount that logs in as ``user``."""
    namespace, colon, name = user.removeprefix(ACCOUNT).partition(":")
    return (namespace, name) if user.startswith(ACCOUNT) and colon and namespace and name else None


def _groups(wanted: _Wanted) -> frozenset[str]:
    groups = set(wanted.groups)
    account = _account(wanted.user)
    if account is not None and not groups:
        groups |= {ACCOUNTS, f"{ACCOUNTS}:{account[0]}"}
    if not groups & {AUTHENTICATED, UNAUTHENTICATED}:
        groups.add(UNAUTHENTICATED if wanted.user == ANONYMOUS else AUTHENTICATED)
    return frozenset(groups)
