"""Rules of volumes: unique names, exactly one source each, and what the sources need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from moorage.resources import names, quantity
from moorage.resources.checks import Errors, check_local_path, check_no_backsteps, check_required_name
from moorage.resources.core.claim_rules import check_claim_spec
from moorage.resources.core.pods.env_rules import VOLUME_FIELDS, check_field_ref, check_resource_ref
from moorage.resources.field_errors import duplicate, forbidden, invalid, not_supported, required
from moorage.resources.label_selector import label_errors
from moorage.resources.metadata import annotation_errors

Part = Mapping[str, Any]

_FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_ONE_TYPE = "may not specify more than 1 volume type"
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_TOKEN_SECONDS = (600, 2**32)
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "nfs": ("server", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "quobyte": ("registry", "volume"),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "csi": ("driver",),
}


def _check_mode(errors: Errors, path: str, mode: int | None) -> None:
    if mode is not None and not 0 <= mode <= 0o777:
        errors.append(invalid(path, mode, _FILE_MODE))


def _check_items(errors: Errors, path: str, items: Sequence[Part]) -> None:
    for index, item in enumerate(items):
        here = f"{path}[{index}]"
        if not item.get("key"):
            errors.append(required(f"{here}.key"))
        if not item.get("path"):
            errors.append(required(f"{here}.path"))
        else:
            _check_file_path(errors, f"{here}.path", item["path"])
        _check_mode(errors, f"{here}.mode", item.get("mode"))


def _check_file_path(errors: Errors, path: str, value: str) -> None:
    check_local_path(errors, path, value)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(invalid(path, value, "must not start with '..'"))


def _check_secret(errors: Errors, path: str, source: Part) -> None:
    if not source.get("secretName"):
        errors.append(required(f"{path}.secretName"))
    _check_mode(errors, f"{path}.defaultMode", source.get("defaultMode"))
    _check_items(errors, f"{path}.items", source.get("items", ()))


def _check_config_map(errors: Errors, path: str, source: Part) -> None:
    if not source.get("name"):
        errors.append(required(f"{path}.name"))
    _check_mode(errors, f"{path}.defaultMode", source.get("defaultMode"))
    _check_items(errors, f"{path}.items", source.get("items", ()))


def _check_downward_items(errors: Errors, path: str, items: Sequence[Part]) -> None:
    for index, item in enumerate(items):
        here = f"{path}[{index}]"
        if not item.get("path"):
            errors.append(required(f"{here}.path"))
        else:
            _check_file_path(errors, f"{here}.path", item["path"])
        if "fieldRef" in item:
            check_field_ref(errors, f"{here}.fieldRef", item["fieldRef"], VOLUME_FIELDS)
            if "resourceFieldRef" in item:
                detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.append(invalid(here, "resource", detail))
        elif "resourceFieldRef" in item:
            check_resource_ref(errors, f"{here}.resourceFieldRef", item["resourceFieldRef"], volume=True)
        else:
            errors.append(required(here, "one of fieldRef and resourceFieldRef is required"))
        _check_mode(errors, f"{here}.mode", item.get("mode"))


def _check_downward(errors: Errors, path: str, source: Part) -> None:
    _check_mode(errors, f"{path}.defaultMode", source.get("defaultMode"))
    _check_downward_items(errors, f"{path}.items", source.get("items", ()))


def _check_token(errors: Errors, path: str, token: Part) -> None:
    seconds = token.get("expirationSeconds", 3600)
    if seconds < _TOKEN_SECONDS[0]:
        errors.append(invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > _TOKEN_SECONDS[1]:
        errors.append(
            invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        )
    if not token.get("path"):
        errors.append(required(f"{path}.path"))
    else:
        _check_file_path(errors, f"{path}.path", token["path"])


_PROJECTIONS = ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate")


_SAME_PATH = "conflicting duplicate paths"


def _check_bundle(errors: Errors, path: str, bundle: Part) -> None:
    name, signer = "name" in bundle, "signerName" in bundle
    if name and signer:
        errors.append(invalid(path, dict(bundle), "only one of name and signerName may be used"))
    elif not name and not signer:
        errors.append(required(path, "either name or signerName must be specified"))
    if name and "labelSelector" in bundle:
        errors.append(invalid(f"{path}.labelSelector", bundle["labelSelector"], "not allowed when name is used"))
    if not bundle.get("path"):
        errors.append(required(f"{path}.path"))
    else:
        _check_file_path(errors, f"{path}.path", bundle["path"])


def _check_certificate(errors: Errors, path: str, certificate: Part) -> None:
    errors.extend(required(f"{path}.{name}") for name in ("signerName", "keyType") if not certificate.get(name))
    given = [name for name in _CERTIFICATE_PATHS if certificate.get(name)]
    if not given:
        errors.append(required(path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
    for name in given:
        _check_file_path(errors, f"{path}.{name}", certificate[name])


_CERTIFICATE_PATHS = ("credentialBundlePath", "keyPath", "certificateChainPath")


def _projected_paths(kind: str, content: Part) -> Iterator[tuple[str, str]]:
    """(path, what an error shows) of the files that one source makes, as far as the pod says."""
    if kind == "podCertificate":
        paths = [content.get(name, "") for name in _CERTIFICATE_PATHS]
    elif kind in ("secret", "configMap", "downwardAPI"):
        paths = [item.get("path", "") for item in content.get("items", ())]
    else:
        paths = [content.get("path", "")]
    shown = content.get("name", "") if kind in ("secret", "configMap") else None
    yield from ((path, path if shown is None else shown) for path in paths if path)


def _check_projected(errors: Errors, path: str, source: Part) -> None:
    _check_mode(errors, f"{path}.defaultMode", source.get("defaultMode"))
    seen: set[str] = set()
    for index, part in enumerate(source.get("sources", ())):
        here = f"{path}.sources[{index}]"
        given = [name for name in _PROJECTIONS if name in part]
        for extra in given[1:]:
            errors.append(forbidden(f"{here}.{extra}", _ONE_TYPE))
        if not given:
            errors.append(required(here, "must specify a volume type"))
            continue
        kind, content = given[0], part[given[0]]
        if kind in ("secret", "configMap"):
            if not content.get("name"):
                errors.append(required(f"{here}.{kind}.name"))
            _check_items(errors, f"{here}.{kind}.items", content.get("items", ()))
        else:
            _OF_A_PROJECTION[kind](errors, f"{here}.{kind}", content)
        for file, shown in _projected_paths(kind, content):
            if file in seen:
                errors.append(invalid(path, shown, _SAME_PATH))
            seen.add(file)


def _check_downward_source(errors: Errors, path: str, source: Part) -> None:
    _check_downward_items(errors, f"{path}.items", source.get("items", ()))


_OF_A_PROJECTION: Mapping[str, Callable[[Errors, str, Part], None]] = {
    "downwardAPI": _check_downward_source,
    "serviceAccountToken": _check_token,
    "clusterTrustBundle": _check_bundle,
    "podCertificate": _check_certificate,
}


def _check_empty_dir(errors: Errors, path: str, source: Part) -> None:
    if "sizeLimit" in source and quantity.parse(source["sizeLimit"]).nanos < 0:
        errors.append(forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def _check_host_path(errors: Errors, path: str, source: Part) -> None:
    if not source.get("path"):
        errors.append(required(f"{path}.path"))
        return
    check_no_backsteps(errors, f"{path}.path", source["path"])
    if source.get("type", "") not in _HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", source["type"], _HOST_PATH_TYPES))


def _check_claim(errors: Errors, path: str, source: Part) -> None:
    if not source.get("claimName"):
        errors.append(required(f"{path}.claimName"))


def _check_ephemeral(errors: Errors, path: str, source: Part) -> None:
    template = source.get("volumeClaimTemplate")
    if template is None:
        errors.append(required(f"{path}.volumeClaimTemplate"))
        return
    here, metadata = f"{path}.volumeClaimTemplate", template.get("metadata") or {}
    errors += annotation_errors(f"{here}.metadata.annotations", metadata.get("annotations"))
    errors += label_errors(f"{here}.metadata.labels", metadata.get("labels"))
    errors.extend(
        forbidden(f"{here}.metadata.{name}", "cannot be set for an ephemeral volume")
        for name in metadata
        if name not in ("annotations", "labels")
    )
    check_claim_spec(errors, f"{here}.spec", template.get("spec") or {})


def _check_image(errors: Errors, path: str, source: Part) -> None:
    if not source.get("reference"):
        errors.append(required(f"{path}.reference"))
    if source.get("pullPolicy") not in _PULL_POLICIES:
        errors.append(not_supported(f"{path}.pullPolicy", source.get("pullPolicy", ""), _PULL_POLICIES))


_SOURCES: Mapping[str, Callable[[Errors, str, Part], None] | None] = {
    "emptyDir": _check_empty_dir,
    "hostPath": _check_host_path,
    "gitRepo": None,
    "gcePersistentDisk": None,
    "awsElasticBlockStore": None,
    "secret": _check_secret,
    "nfs": None,
    "iscsi": None,
    "glusterfs": None,
    "flocker": None,
    "persistentVolumeClaim": _check_claim,
    "rbd": None,
    "cinder": None,
    "cephfs": None,
    "quobyte": None,
    "downwardAPI": _check_downward,
    "fc": None,
    "flexVolume": None,
    "configMap": _check_config_map,
    "azureFile": None,
    "vsphereVolume": None,
    "photonPersistentDisk": None,
    "portworxVolume": None,
    "azureDisk": None,
    "storageos": None,
    "projected": _check_projected,
    "scaleIO": None,
    "csi": None,
    "ephemeral": _check_ephemeral,
    "image": _check_image,
}


def check_volume_source(errors: Errors, path: str, kind: str, source: Part) -> None:
    """What a source of volumes needs, whether a pod or a PersistentVolume names it. ``kind`` is the field's name."""
    check = _SOURCES.get(kind)
    if check is not None:
        check(errors, path, source)
    else:
        errors.extend(required(f"{path}.{name}") for name in _REQUIRED.get(kind, ()) if not source.get(name))


def _check_source(errors: Errors, path: str, volume: Part) -> None:
    found = False
    for kind in _SOURCES:
        source = volume.get(kind)
        if source is None:
            continue
        if found:
            errors.append(forbidden(f"{path}.{kind}", _ONE_TYPE))
            continue
        found = True
        check_volume_source(errors, f"{path}.{kind}", kind, source)
    if not found:
        errors.append(required(path, "must specify a volume type"))


def check_volumes(errors: Errors, path: str, volumes: Sequence[Part], pod: str = "") -> dict[str, Part]:
    """Check ``volumes``; returns the sound ones by name, for mounts to refer to. ``pod``: the pod's name, where there is one."""
    sound: dict[str, Part] = {}
    own = {f"{pod}-{each.get('name', '')}" for each in volumes if "ephemeral" in each} if pod else set()
    for index, volume in enumerate(volumes):
        found: Errors = []
        here = f"{path}[{index}]"
        _check_source(found, here, volume)
        name = volume.get("name", "")
        check_required_name(found, f"{here}.name", name, names.dns_label)
        if name in sound:
            found.append(duplicate(f"{here}.name", name))
        if pod and name and "ephemeral" in volume and (problem := names.dns_subdomain(f"{pod}-{name}")):
            found.append(invalid(f"{here}.name", name, f'PVC name "{pod}-{name}": {problem}'))
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if claim in own:
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid(f"{here}.persistentVolumeClaim.claimName", claim, detail))
        if found:
            errors += found
        else:
            sound[name] = volume
    return sound
