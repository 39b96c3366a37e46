"""The declaration of pods and of the binding that assigns one to a node."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources import names
from moorage.resources.core.pods import part_updates
from moorage.resources.core.pods.columns import COLUMNS
from moorage.resources.core.pods.defaults import default_pod
from moorage.resources.core.pods.pod_rules import binding_errors, pod_errors
from moorage.resources.core.pods.prepare import prepare_create
from moorage.resources.core.pods.state import is_finished
from moorage.resources.core.pods.update_rules import status_update_errors, update_errors
from moorage.resources.declaring import CORE, PROXIED, by_name, status_of
from moorage.resources.kind import Document, GroupVersionKind, Kind, ResourceKey, Subresource

DEFAULT_GRACE_SECONDS = 30


def _fields(pod: Document) -> Mapping[str, str]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    addresses = status.get("podIPs") or ({"ip": status.get("podIP", "")},)
    return {
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.restartPolicy": spec.get("restartPolicy", ""),
        "spec.schedulerName": spec.get("schedulerName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": status.get("phase", ""),
        "status.podIP": addresses[0].get("ip", ""),
        "status.nominatedNodeName": status.get("nominatedNodeName", ""),
    }


def grace_seconds(pod: Document, requested: int | None) -> int:
    """Seconds that a deleted pod has to stop in: as asked, else as its spec says; none where nothing can be running.

    A negative period counts as 1 second. Source: "Pod Lifecycle", "Termination of Pods".
    """
    spec = pod.get("spec") or {}
    period: int = spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS) if requested is None else requested
    if not spec.get("nodeName") or is_finished(pod):
        return 0
    return 1 if period < 0 else period


POD = Kind(
    group="",
    version="v1",
    kind="Pod",
    plural="pods",
    singular="pod",
    namespaced=True,
    schema=f"{CORE}.Pod",
    short_names=("po",),
    categories=("all",),
    storage=ResourceKey("", "pods"),
    has_generation=True,
    name_rule=names.dns_subdomain,
    subresources=by_name(
        (
            status_of("", "v1", "Pod"),
            Subresource("binding", GroupVersionKind("", "v1", "Binding"), ("create",)),
            Subresource("eviction", GroupVersionKind("policy", "v1", "Eviction"), ("create",)),
            Subresource("log", GroupVersionKind("", "v1", "Pod"), ("get",)),
            Subresource(
                "ephemeralcontainers",
                GroupVersionKind("", "v1", "Pod"),
                prepare=part_updates.only_ephemeral_containers,
                validate=part_updates.ephemeral_container_errors,
            ),
            Subresource(
                "resize",
                GroupVersionKind("", "v1", "Pod"),
                prepare=part_updates.only_resources,
                validate=part_updates.resize_errors,
            ),
            Subresource("exec", GroupVersionKind("", "v1", "PodExecOptions"), ("create", "get")),
            Subresource("attach", GroupVersionKind("", "v1", "PodAttachOptions"), ("create", "get")),
            Subresource("portforward", GroupVersionKind("", "v1", "PodPortForwardOptions"), ("create", "get")),
            Subresource("proxy", GroupVersionKind("", "v1", "PodProxyOptions"), PROXIED),
        )
    ),
    columns=COLUMNS,
    default=default_pod,
    prepare_create=prepare_create,
    validate=pod_errors,
    validate_update=update_errors,
    validate_status_update=status_update_errors,
    fields=_fields,
    grace_seconds=grace_seconds,
)

BINDING = Kind(
    group="",
    version="v1",
    kind="Binding",
    plural="bindings",
    singular="binding",
    namespaced=True,
    schema=f"{CORE}.Binding",
    storage=ResourceKey("", "pods"),
    name_rule=names.dns_subdomain,
    verbs=("create",),
    validate=binding_errors,
)
"""The body of ``pods/NAME/binding``. It is not kept: what it says is written into the pod."""
