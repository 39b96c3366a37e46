"""The containers of an installation's pods on this machine's engine, for the time when no agent looks after them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from moorage.supervisor.layout import Layout, SetupError

CLUSTER, NODE, CONTAINER = "moorage.io/cluster-uid", "moorage.io/node", "moorage.io/container"
SANDBOX = "POD"
IDENTITY, APART = "identity.json", "apart.json"
GRACE_LABEL = "moorage.io/grace"
"""Labels that an agent puts on each container (``moorage_agent.pods.labels``)."""
GRACE = 10
"""The most seconds for a container to end by itself; a pod may ask for less."""
AT_ONCE = 16


def end_pods(layout: Layout, *, remove: bool = False) -> int:
    """End the containers of this installation's nodes, and ``remove`` them; how many there were. Raises SetupError.

    Both labels must match, so that no other installation on the same engine is touched.
    """
    owners = list(_owners(layout))
    if not owners:
        return 0
    import docker

    try:
        engine = docker.from_env(timeout=60)
    except docker.errors.DockerException as error:
        raise SetupError(f"the containers of the pods were not ended, as no Docker Engine answers: {error}") from None
    try:
        containers = [container for owner in owners for container in _containers(engine, owner, everything=remove)]
        # Sandboxes last: the containers of a pod use its network until they end.
        for sandboxes in (False, True):
            part = [container for container in containers if (container.labels.get(CONTAINER) == SANDBOX) is sandboxes]
            with ThreadPoolExecutor(AT_ONCE) as threads:
                list(threads.map(lambda container: _end(container, remove=remove), part))
    except docker.errors.DockerException as error:
        raise SetupError(f"not every container of the pods was ended: {error}") from None
    finally:
        engine.close()
    return len(containers)


def end_networks(layout: Layout) -> None:
    """Take away what the agents that ever ran here made in the machine's kernel: links, routes, rules and control groups.

    Raises SetupError.
    """
    for cluster, node in _owners(layout):
        from moorage_agent.engine.groups import Groups, name_of
        from moorage_agent.network.making import remove  # an installation without nodes has no agent's packages

        remove(cluster, node)
        groups = Groups(name_of(cluster, node))
        for container in groups.containers():
            groups.end(container)  # the engine has ended all that it knows of
        groups.remove()
    for folder in (layout.root, *sorted((layout.root / "agents").glob("*"))):
        if (folder / APART).is_file():
            from moorage_agent.apart import launch

            try:
                launch.clear(folder)
            except (launch.ApartError, OSError) as error:
                raise SetupError(f"what the node in {folder} made was not removed: {error}") from None


def is_node(layout: Layout) -> bool:
    """Whether the directory is that of an agent that was started alone. Raises SetupError while that agent runs."""
    if not (layout.root / IDENTITY).is_file():
        return False
    from moorage_agent.identity import IdentityError, lock
    from moorage_agent.pods.labels import Owner

    for cluster, node in _owners(layout):
        try:
            lock(Owner(cluster, node)).close()
        except IdentityError as error:
            raise SetupError(str(error)) from None
    return True


def _owners(layout: Layout) -> Iterator[tuple[str, str]]:
    """(cluster, node) of each agent that ever ran here, as it remembered itself."""
    own = (
        [file] if (file := layout.root / IDENTITY).is_file() else []
    )  # the directory of an agent that was started alone
    for file in (*own, *sorted((layout.root / "agents").glob(f"*/{IDENTITY}"))):
        try:
            known = json.loads(file.read_text("utf-8"))
            yield str(known["cluster"]), str(known["node"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SetupError(f"{file} cannot be read, so the containers of its pods were not ended: {error}") from None


def _containers(engine: Any, owner: tuple[str, str], *, everything: bool) -> Sequence[Any]:
    cluster, node = owner
    labels = [f"{CLUSTER}={cluster}", f"{NODE}={node}"]
    found: Sequence[Any] = engine.containers.list(all=everything, filters={"label": labels}, ignore_removed=True)
    return found


def _end(container: Any, *, remove: bool) -> None:
    import docker

    try:
        asked = container.labels.get(GRACE_LABEL, "")
        container.stop(timeout=min(int(asked), GRACE) if asked.isdigit() else GRACE)
        if remove:
            container.remove(force=True, v=True)
    except docker.errors.NotFound:
        return
