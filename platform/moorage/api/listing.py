"""Which objects a list gives, and as of which revision. Source: API conventions, "Resource Versions", the table of semantics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moorage.api.errors import expired
from moorage.api.filtering import Filter
from moorage.api.freshness import fresh, not_older, too_large_version
from moorage.api.incarnations import check_history
from moorage.api.options import ListOptions
from moorage.api.tokens import ANY_REVISION, Continue, ExpiredList, decode
from moorage.resources.kind import ResourceKey
from moorage.store.contracts import Entry, Expired, Store

SCAN = 500
"""Objects read at a time from an old revision while a selector passes over them."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects as of ``revision``, a commit's last. ``remaining`` is None where it is not known."""

    entries: Sequence[Entry]
    revision: int
    token: str = ""
    remaining: int | None = None


async def page(store: Store, resource: ResourceKey, namespace: str | None, options: ListOptions, only: Filter) -> Page:
    """The page that ``options`` ask for. ``namespace`` None means all.

    Raises ApiError 400 for a token that is none of ours, 410 for what is past the history, 504 for a revision yet to come.
    """
    if options.token:
        return await _next(store, resource, namespace, options, only)
    # With a limit, resourceVersion alone means exactly that revision (the conventions' legacy row).
    exact = options.match == "Exact" or (options.match == "" and options.limit > 0 and options.revision > 0)
    if not exact:
        cache = await not_older(store, resource, options.revision)
        return _cut(_select(cache.entries(namespace), only), cache.revision, options.limit, only)
    cache = await not_older(store, resource, options.revision)
    if cache.revision == options.revision:
        return _cut(_select(cache.entries(namespace), only), cache.revision, options.limit, only)
    try:
        return await _old(store, resource, namespace, Continue(options.revision, "", ""), options.limit, only)
    except Expired as error:
        raise expired(f"The resourceVersion for the provided list is too old: {options.revision}") from error


async def _next(store: Store, resource: ResourceKey, namespace: str | None, options: ListOptions, only: Filter) -> Page:
    token = decode(options.token)
    if token.revision == ANY_REVISION:
        cache = await fresh(store, resource)
        rest = [entry for entry in cache.entries(namespace) if entry.key[2:] > (token.namespace, token.name)]
        return _cut(_select(rest, only), cache.revision, options.limit, only)
    cache = await store.cache(resource)
    if token.revision > cache.revision:
        cache = await not_older(store, resource, token.revision)
        if token.revision > cache.revision:
            raise too_large_version(token.revision, cache.revision)
    if cache.revision == token.revision:
        rest = [entry for entry in cache.entries(namespace) if entry.key[2:] > (token.namespace, token.name)]
        return _cut(_select(rest, only), token.revision, options.limit, only)
    try:
        return await _old(store, resource, namespace, token, options.limit, only)
    except Expired as error:
        raise ExpiredList(token) from error


def _select(entries: Sequence[Entry], only: Filter) -> Sequence[Entry]:
    return entries if only.everything else [entry for entry in entries if only.matches(entry)]


def _cut(entries: Sequence[Entry], revision: int, limit: int, only: Filter) -> Page:
    if not limit or len(entries) <= limit:
        return Page(entries, revision)
    left = len(entries) - limit
    last = entries[limit - 1].key
    token = Continue(revision, last.namespace, last.name, left if only.everything else -1)
    # A selector leaves the count unknown, as in Kubernetes.
    return Page(entries[:limit], revision, token.encode(), left if only.everything else None)


async def _old(
    store: Store, resource: ResourceKey, namespace: str | None, start: Continue, limit: int, only: Filter
) -> Page:
    """A page of an old revision, read from PostgreSQL; one object more than asked tells whether there is a next."""
    if namespace:
        await check_history(store, namespace, start.revision)
    after = (start.namespace, start.name) if start.name else None
    found: list[Entry] = []
    wanted = limit + 1 if limit else 0
    while True:
        size = max(wanted - len(found), 1) if only.everything else SCAN
        rows = await store.list_at(
            resource, start.revision, namespace=namespace, after=after, limit=size if wanted else None
        )
        found.extend(_select(rows, only))
        if not wanted or len(found) >= wanted or len(rows) < size:
            break
        after = (rows[-1].key.namespace, rows[-1].key.name)
    if not limit or len(found) <= limit:
        return Page(found, start.revision)
    left = start.left - limit if start.left >= limit else -1
    last = found[limit - 1].key
    token = Continue(start.revision, last.namespace, last.name, left)
    return Page(found[:limit], start.revision, token.encode(), left if left >= 0 else None)


def batches(entries: Sequence[Entry], size: int) -> Iterator[Sequence[Entry]]:
    """``entries`` in runs whose documents come to about ``size`` bytes."""
    start = total = 0
    for at, entry in enumerate(entries):
        total += len(entry.data)
        if total >= size:
            yield entries[start : at + 1]
            start, total = at + 1, 0
    if start < len(entries):
        yield entries[start:]
