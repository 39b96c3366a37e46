"""From a pod's spec to what the engine is asked to create. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from moorage_agent.engine.contract import ContainerSpec, Mount, Port, Security
from moorage_agent.pods import labels as names
from moorage_agent.pods import quantities
from moorage_agent.pods.environment import ConfigError, arguments

Pod = Mapping[str, Any]


class Identity(NamedTuple):
    """Who runs the pod, for labels."""

    owner: names.Owner
    node_uid: str


def sandbox_spec(
    pod: Pod, identity: Identity, image: str, attempt: int, *, hostname: str, network: str = "bridge"
) -> ContainerSpec:
    """The sandbox: it holds network, IPC, host name and published ports, and has hardly any rights or memory.

    With ``network`` "none" it makes its network namespace itself, which is quicker than the engine
    (``docs/decisions/a-sandbox-makes-its-own-network.md``), unless the engine must set ``net`` sysctls in it.
    """
    spec = pod["spec"]
    host_network = bool(spec.get("hostNetwork"))
    security = spec.get("securityContext") or {}
    own_network = network == "none" and not host_network and not _of_network(security.get("sysctls") or ())
    return ContainerSpec(
        name=names.container_name(pod, names.SANDBOX_NAME, attempt),
        image=image,
        labels=_labels(pod, identity, names.SANDBOX_NAME, attempt),
        network="host" if host_network or own_network else network,
        ipc="host" if spec.get("hostIPC") else "shareable",
        pid="host" if spec.get("hostPID") else "",
        hostname="" if host_network else hostname,
        ports=[] if host_network or network != "bridge" else host_ports(pod),
        sysctls={one["name"]: one["value"] for one in security.get("sysctls") or ()},
        security=Security(
            add=("SYS_ADMIN",) if own_network else (),
            drop=("ALL",),
            read_only_root=True,
            options=("no-new-privileges",),
        ),
    )


def _of_network(sysctls: Sequence[Mapping[str, Any]]) -> bool:
    return any(one["name"].replace("/", ".").startswith("net.") for one in sysctls)


def host_ports(pod: Pod) -> list[Port]:
    """Ports that the pod publishes on the host."""
    every = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
    return [
        Port(
            container_port=port["containerPort"],
            host_port=port["hostPort"],
            protocol=(port.get("protocol") or "TCP").lower(),
            host_ip=port.get("hostIP") or "",
        )
        for container in every
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


def container_spec(
    pod: Pod,
    container: Mapping[str, Any],
    identity: Identity,
    *,
    attempt: int,
    sandbox: str,
    backoff: float,
    variables: Mapping[str, str],
    mounts: Sequence[Mount],
    image: str,
    image_user: str,
    node_memory: int,
    most_processes: int,
    target: str = "",
    options: Sequence[str] = (),
    least_oom_score: int = 0,
) -> ContainerSpec:
    """One container, joined to its sandbox, and to the processes of container ``target`` (an id). Raises ConfigError."""
    spec = pod["spec"]
    labels = _labels(pod, identity, container["name"], attempt)
    labels[names.SANDBOX] = sandbox
    labels[names.HASH] = names.spec_hash(container)
    labels[names.BACKOFF] = f"{backoff:g}"
    pid = f"container:{sandbox}" if spec.get("shareProcessNamespace") else ("host" if spec.get("hostPID") else "")
    if target and not pid:
        pid = f"container:{target}"
    return ContainerSpec(
        name=names.container_name(pod, container["name"], attempt),
        image=image,
        labels=labels,
        entrypoint=arguments(container.get("command"), variables),
        arguments=_arguments(container, variables),
        env=[f"{name}={value}" for name, value in variables.items()],
        working_dir=container.get("workingDir") or "",
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
        network=f"container:{sandbox}",
        ipc="host" if spec.get("hostIPC") else f"container:{sandbox}",
        pid=pid,
        mounts=mounts,
        limits=quantities.limits(quantities.resources(pod, container), most_processes),
        security=security(pod, container, image_user, options),
        oom_score_adj=quantities.oom_score(pod, container, node_memory, least_oom_score),
        stop_signal=(container.get("lifecycle") or {}).get("stopSignal") or "",
    )


def _arguments(container: Mapping[str, Any], variables: Mapping[str, str]) -> list[str] | None:
    """``args``; where only ``command`` is given, none at all rather than the image's (Kubernetes' rule)."""
    given = arguments(container.get("args"), variables)
    return [] if given is None and container.get("command") else given


def security(pod: Pod, container: Mapping[str, Any], image_user: str, options: Sequence[str] = ()) -> Security:
    """The container's ``securityContext`` over the pod's. Raises ConfigError where ``runAsNonRoot`` cannot be kept."""
    of_pod = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    merged = {**of_pod, **own}
    user, group = merged.get("runAsUser"), merged.get("runAsGroup")
    who = "" if user is None else str(user)
    if group is not None:
        who = f"{who or image_user.partition(':')[0] or '0'}:{group}"
    _check_not_root(pod, container, merged, image_user)
    capabilities = own.get("capabilities") or {}
    groups = [*(of_pod.get("supplementalGroups") or ()), *([of_pod["fsGroup"]] if "fsGroup" in of_pod else [])]
    return Security(
        user=who,
        groups=[str(one) for one in groups],
        privileged=bool(own.get("privileged")),
        add=capabilities.get("add") or (),
        drop=capabilities.get("drop") or (),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        options=options,
    )


def _check_not_root(pod: Pod, container: Mapping[str, Any], merged: Mapping[str, Any], image_user: str) -> None:
    """As the kubelet's ``verifyRunAsNonRoot``."""
    if not merged.get("runAsNonRoot"):
        return
    metadata = pod["metadata"]
    name = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
    where = f'(pod: "{name}", container: {container["name"]})'
    if merged.get("runAsUser") is not None:
        if merged["runAsUser"] == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        return
    user = image_user.partition(":")[0]
    if user and not user.isdigit():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {where}"
        )
    if not user or int(user) == 0:
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")


def _labels(pod: Pod, identity: Identity, container: str, attempt: int) -> dict[str, str]:
    result = names.pod_labels(identity.owner, identity.node_uid, pod)
    result[names.CONTAINER] = container
    result[names.ATTEMPT] = str(attempt)
    return result
