"""What a pod gets that says nothing: the defaults of pods and of pod templates. Source: the API reference, "Pod".

This runs for every write of a pod, Deployment or ReplicaSet, hence plain loops over what is there.
"""

from __future__ import annotations

from typing import Any

from moorage.resources import quantity
from moorage.resources.kind import Document
from moorage.resources.references import pull_policy

Part = dict[str, Any]

_VOLUME_DEFAULTS: dict[str, Part] = {
    "secret": {"defaultMode": 0o644},
    "configMap": {"defaultMode": 0o644},
    "downwardAPI": {"defaultMode": 0o644},
    "projected": {"defaultMode": 0o644},
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def _fill(part: Part, defaults: Part) -> None:
    for key, value in defaults.items():
        if key not in part:
            part[key] = value


def _default_field_refs(source: Part) -> None:
    if (reference := source.get("fieldRef")) is not None and not reference.get("apiVersion"):
        reference["apiVersion"] = "v1"
    if (reference := source.get("resourceFieldRef")) is not None and "divisor" not in reference:
        reference["divisor"] = "0"


def _default_handler(handler: Part) -> None:
    if (action := handler.get("httpGet")) is not None:
        if not action.get("path"):
            action["path"] = "/"
        if not action.get("scheme"):
            action["scheme"] = "HTTP"
    if (action := handler.get("grpc")) is not None and "service" not in action:
        action["service"] = ""


def _default_probe(probe: Part) -> None:
    _default_handler(probe)
    if not probe.get("timeoutSeconds"):
        probe["timeoutSeconds"] = 1
    if not probe.get("periodSeconds"):
        probe["periodSeconds"] = 10
    if not probe.get("successThreshold"):
        probe["successThreshold"] = 1
    if not probe.get("failureThreshold"):
        probe["failureThreshold"] = 3


def default_resources(resources: Part) -> None:
    """Round amounts up to whole millis."""
    for name in ("limits", "requests"):
        amounts = resources.get(name)
        if amounts:
            for key, value in amounts.items():
                if value[-1] in "nu":
                    amounts[key] = quantity.canonical_resource(value)


def _default_container(container: Part) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image", ""))
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    resources = container.get("resources")
    if resources is None:
        container["resources"] = {}
    else:
        default_resources(resources)
    for port in container.get("ports", ()):
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in container.get("env", ()):
        if "valueFrom" in variable:
            _default_field_refs(variable["valueFrom"])
    for name in _PROBES:
        if name in container:
            _default_probe(container[name])
    if "lifecycle" in container:
        for handler in container["lifecycle"].values():
            if isinstance(handler, dict):
                _default_handler(handler)


def _default_projection(source: Part) -> None:
    if (token := source.get("serviceAccountToken")) is not None and "expirationSeconds" not in token:
        token["expirationSeconds"] = 3600
    for item in (source.get("downwardAPI") or {}).get("items", ()):
        _default_field_refs(item)


def _default_volume(volume: Part) -> None:
    if len(volume) == 1 and "name" in volume:
        volume["emptyDir"] = {}
        return
    for name, source in volume.items():
        if not isinstance(source, dict):
            continue
        if name in _VOLUME_DEFAULTS:
            _fill(source, _VOLUME_DEFAULTS[name])
        if name == "downwardAPI":
            for item in source.get("items", ()):
                _default_field_refs(item)
        elif name == "projected":
            for part in source.get("sources", ()):
                _default_projection(part)
        elif name == "image" and not source.get("pullPolicy"):
            source["pullPolicy"] = pull_policy(source.get("reference", ""))
        elif name == "ephemeral" and "spec" in (source.get("volumeClaimTemplate") or {}):
            _fill(source["volumeClaimTemplate"]["spec"], {"volumeMode": "Filesystem"})


def default_pod_spec(spec: Part) -> None:
    """Fill in a pod's spec or a template's, in place."""
    if not spec.get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not spec.get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not spec.get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    # serviceAccount is the old name of serviceAccountName; both are shown, the new one counts.
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in spec.get("containers", ()):
        _default_container(container)
    for container in spec.get("initContainers", ()):
        _default_container(container)
    for container in spec.get("ephemeralContainers", ()):
        _default_container(container)
    for volume in spec.get("volumes", ()):
        _default_volume(volume)
    if "overhead" in spec:
        default_resources({"limits": spec["overhead"]})


def _default_requests(container: Part) -> None:
    resources = container["resources"]
    limits = resources.get("limits")
    if limits:
        requests = resources.setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)


def _default_host_ports(container: Part) -> None:
    for port in container.get("ports", ()):
        if not port.get("hostPort") and "containerPort" in port:
            port["hostPort"] = port["containerPort"]


def default_pod(pod: Document) -> None:
    """Fill in a pod: its spec as in a template, requests from limits, and what templates leave open."""
    spec = pod.get("spec")
    if spec is None:
        spec = pod["spec"] = {}
    default_pod_spec(spec)
    containers = spec.get("containers", ())
    for container in containers:
        _default_requests(container)
    initial = spec.get("initContainers", ())
    for container in initial:
        _default_requests(container)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec.get("hostNetwork"):
        for container in (*containers, *initial):
            _default_host_ports(container)
