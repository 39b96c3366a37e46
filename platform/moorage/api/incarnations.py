"""What was in a namespace is not inherited with its name: who has rights in a namespace that was deleted and made again must
not read, by an old resourceVersion, what its predecessor held for others.
"""

from __future__ import annotations

from moorage.api.errors import expired
from moorage.api.writing.namespaces import NAMESPACES
from moorage.store.contracts import EventType, Expired, Store


async def check_history(store: Store, namespace: str, revision: int) -> None:
    """Raises ApiError 410 where the namespace called so at ``revision`` was another one than that of now, and Unavailable."""
    cache = await store.cache(NAMESPACES)
    now = cache.get("", namespace)
    if now is None or revision >= cache.revision:
        return
    try:
        subscription = cache.subscribe(revision)
    except Expired:
        # What is asked for is gone as well, and says so itself.
        return
    try:
        changes = subscription.poll()
        another = any(each.type is EventType.DELETED and each.entry.key.name == namespace for each in changes)
    except Expired:
        then = await store.list_at(NAMESPACES, revision)
        another = all(each.uid != now.uid for each in then)
    finally:
        subscription.close()
    if another:
        raise expired(f'the namespace "{namespace}" was made after resourceVersion {revision}; list again')
