"""What a volume of files is to hold, from its spec and the objects that it names. Pure. Source: API reference, Volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from moorage_agent.pods import environment, fields
from moorage_agent.tokens import Wanted
from moorage_agent.volumes.payload import File

Pod = Mapping[str, Any]

DEFAULT_MODE = 0o644
KINDS = ("configMap", "secret", "downwardAPI", "projected")
_PRIVATE = ("secret", "configMap", "serviceAccountToken")


class VolumeError(Exception):
    """A volume cannot be made ready (yet); the text is for the ``FailedMount`` event."""


class Materials(environment.Sources, Protocol):
    """What volumes are made of, as it was read for this purpose."""

    def token(self, wanted: Wanted) -> str:
        """A token that the pod asks for."""
        ...

    def claim(self, volume: str) -> Mapping[str, Any] | None:
        """The PersistentVolume behind a volume of the pod."""
        ...

    def layers(self, volume: str) -> Sequence[str]:
        """Folders that hold the image behind a volume of the pod, the uppermost first."""
        ...


def tokens(pod: Pod) -> set[Wanted]:
    """The tokens that the pod's volumes ask for."""
    return {
        wanted(source["serviceAccountToken"])
        for volume in pod["spec"].get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
        if source.get("serviceAccountToken")
    }


def wanted(spec: Mapping[str, Any]) -> Wanted:
    """A ``serviceAccountToken`` source as a request."""
    return Wanted(spec.get("audience") or "", int(spec.get("expirationSeconds") or 3600))


def claims(pod: Pod) -> dict[str, str]:
    """Volume name -> name of the PersistentVolumeClaim; that of a generic ephemeral volume is ``POD-VOLUME`` (KEP-1698)."""
    found: dict[str, str] = {}
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found[volume["name"]] = volume["persistentVolumeClaim"]["claimName"]
        elif volume.get("ephemeral"):
            found[volume["name"]] = f"{pod['metadata']['name']}-{volume['name']}"
    return found


def devices(pod: Pod) -> set[str]:
    """Names of the volumes that containers want as block devices."""
    spec = pod["spec"]
    every = (*(spec.get("initContainers") or ()), *spec["containers"])
    return {device["name"] for one in every for device in one.get("volumeDevices") or ()}


def user_of_all(pod: Pod) -> int | None:
    """The user that every container runs as, where they all name one: its tokens are readable by nobody else."""
    spec = pod["spec"]
    common = (spec.get("securityContext") or {}).get("runAsUser")
    every = [*(spec.get("initContainers") or ()), *spec["containers"]]
    users: set[int | None] = {(one.get("securityContext") or {}).get("runAsUser", common) for one in every}
    return users.pop() if len(users) == 1 else None


def references(pod: Pod) -> set[tuple[str, str]]:
    """(``configmap`` or ``secret``, name) of everything that the pod's volumes refer to."""
    found: set[tuple[str, str]] = set()
    for volume in pod["spec"].get("volumes") or ():
        for source in [volume, *((volume.get("projected") or {}).get("sources") or ())]:
            if source.get("configMap"):
                found.add(("configmap", source["configMap"]["name"]))
            if source.get("secret"):
                found.add(("secret", source["secret"].get("secretName") or source["secret"]["name"]))
    return found


def is_private(volume: Mapping[str, Any]) -> bool:
    """Whether what it holds must not touch the disk: what the control plane keeps as ciphertext, and tokens."""
    projected = (volume.get("projected") or {}).get("sources") or ()
    return any(one.get(kind) for one in (volume, *projected) for kind in _PRIVATE)


def files(pod: Pod, volume: Mapping[str, Any], found: Materials, facts: fields.Facts) -> dict[str, File]:
    """The files of a volume of one of ``KINDS``. Raises VolumeError."""
    if volume.get("projected") is not None:
        projected = volume["projected"]
        mode = projected.get("defaultMode", DEFAULT_MODE)
        result: dict[str, File] = {}
        for source in projected.get("sources") or ():
            result.update(_files(pod, source, mode, found, facts))
        return result
    kind = next(kind for kind in KINDS if volume.get(kind) is not None)
    return _files(pod, volume, volume[kind].get("defaultMode", DEFAULT_MODE), found, facts)


def _files(pod: Pod, source: Mapping[str, Any], mode: int, found: Materials, facts: fields.Facts) -> dict[str, File]:
    if source.get("configMap") is not None:
        spec = source["configMap"]
        return _entries(pod, "configmap", spec["name"], spec, mode, found.config_map(spec["name"]))
    if source.get("secret") is not None:
        spec = source["secret"]
        name = spec.get("secretName") or spec["name"]
        return _entries(pod, "secret", name, spec, mode, found.secret(name))
    if source.get("downwardAPI") is not None:
        return {item["path"]: _item(pod, item, mode, facts) for item in source["downwardAPI"].get("items") or ()}
    if source.get("serviceAccountToken") is not None:
        spec = source["serviceAccountToken"]
        return {spec["path"]: _token(pod, found.token(wanted(spec)), mode)}
    bundle = source.get("clusterTrustBundle")
    if bundle is not None and bundle.get("optional"):
        return {bundle["path"]: File(b"", mode)}
    if bundle is not None:
        which = bundle.get("name") or bundle.get("signerName")
        raise VolumeError(f'clustertrustbundle "{which}" not found: ClusterTrustBundles are not served here')
    if source.get("podCertificate") is not None:
        raise VolumeError("podCertificate: PodCertificateRequests are not served here, mount a Secret instead")
    raise VolumeError(f"{', '.join(source)}: this node has no such projected source")


def _token(pod: Pod, token: str, mode: int) -> File:
    """For one user's eyes where the pod has one user, for its group's where it has one (kubelet's ``projected.go``)."""
    user = user_of_all(pod)
    grouped = "fsGroup" in (pod["spec"].get("securityContext") or {})
    return File(token.encode("ascii"), 0o600 if user is not None or grouped else mode, user)


def _entries(
    pod: Pod, kind: str, name: str, spec: Mapping[str, Any], mode: int, document: Mapping[str, Any] | None
) -> dict[str, File]:
    optional = bool(spec.get("optional"))
    if document is None:
        if optional:
            return {}
        raise VolumeError(f'{kind} "{name}" not found')
    entries = environment.decoded(document)
    if not spec.get("items"):
        return {key: File(value, mode) for key, value in entries.items()}
    result = {}
    for item in spec["items"]:
        if item["key"] in entries:
            result[item["path"]] = File(entries[item["key"]], item.get("mode", mode))
        elif not optional:
            where = f"{pod['metadata']['namespace']}/{name}"
            raise VolumeError(f"references non-existent {kind} key: {item['key']} in {where}")
    return result


def _item(pod: Pod, item: Mapping[str, Any], mode: int, facts: fields.Facts) -> File:
    try:
        if item.get("fieldRef"):
            text = fields.field(pod, item["fieldRef"]["fieldPath"], facts)
        else:
            text = fields.resource(pod, item["resourceFieldRef"], None, facts)
    except ValueError as error:
        raise VolumeError(str(error)) from error
    return File(text.encode("utf-8"), item.get("mode", mode))
