"""storage.k8s.io/v1: what CSI drivers say of themselves, of the nodes that they run on, and of the room that they have.

Nothing here runs a driver: the objects are for those that bring one along.
Source: "Storage" in the API reference; pkg/apis/storage/validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.resources import names, quantity
from moorage.resources.checks import Errors
from moorage.resources.core.access_modes import check_class
from moorage.resources.core.persistent_volume_rules import check_csi_driver
from moorage.resources.field_errors import NOT_NEGATIVE, duplicate, immutable, invalid, not_supported, required
from moorage.resources.kind import Column, Document, FieldError, Kind, ResourceKey
from moorage.resources.label_selector import selector_errors
from moorage.resources.metadata import metadata_errors, metadata_update_errors
from moorage.resources.printing import AGE, NAME, NONE, at, size, text

Part = Mapping[str, Any]

GROUP = "storage.k8s.io"
_STORAGE = "io.k8s.api.storage.v1"
FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLE_MODES = ("Persistent", "Ephemeral")
_DRIVER_DEFAULTS: Mapping[str, Any] = {
    "attachRequired": True,
    "podInfoOnMount": False,
    "storageCapacity": False,
    "fsGroupPolicy": "ReadWriteOnceWithFSType",
    "requiresRepublish": False,
    "seLinuxMount": False,
}
_LEAST_PERIOD = 10
_TOKEN_SECONDS = (600, 2**32)
_LONGEST_NODE_ID = 256
"""Characters of ``nodeID``: raised from 192 where CSI 1.9 raised it."""


def _default_driver(driver: Document) -> None:
    spec = driver.setdefault("spec", {})
    for name, value in _DRIVER_DEFAULTS.items():
        spec.setdefault(name, value)
    if not spec.get("volumeLifecycleModes"):
        spec["volumeLifecycleModes"] = ["Persistent"]


def _check_tokens(errors: Errors, tokens: Sequence[Part]) -> None:
    seen: set[str] = set()
    for index, token in enumerate(tokens):
        path, audience = f"spec.tokenRequests[{index}]", token.get("audience", "")
        if audience in seen:
            errors.append(duplicate(f"{path}.audience", audience))
            continue
        seen.add(audience)
        seconds = token.get("expirationSeconds")
        if seconds is not None and seconds < _TOKEN_SECONDS[0]:
            errors.append(
                invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
            )
        if seconds is not None and seconds > _TOKEN_SECONDS[1]:
            detail = "may not specify a duration larger than 2^32 seconds"
            errors.append(invalid(f"{path}.expirationSeconds", seconds, detail))


def _driver_errors(driver: Document) -> list[FieldError]:
    errors = metadata_errors(driver, names.dns_subdomain, namespaced=False)
    spec: Part = driver["spec"]
    if spec["fsGroupPolicy"] not in FS_GROUP_POLICIES:
        errors.append(not_supported("spec.fsGroupPolicy", spec["fsGroupPolicy"], FS_GROUP_POLICIES))
    _check_tokens(errors, spec.get("tokenRequests") or ())
    errors.extend(
        not_supported("spec.volumeLifecycleModes", mode, LIFECYCLE_MODES)
        for mode in spec["volumeLifecycleModes"]
        if mode not in LIFECYCLE_MODES
    )
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < _LEAST_PERIOD:
        detail = "must be greater than or equal to 10 seconds"
        errors.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, detail))
    return errors


def _driver_update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    after, before = new["spec"], old["spec"]
    # The path is Kubernetes' own: its field is called attachRequired.
    errors += immutable("spec.attachedRequired", after["attachRequired"], before["attachRequired"])
    modes = [sorted(each["volumeLifecycleModes"]) for each in (after, before)]
    return errors + immutable("spec.volumeLifecycleModes", *modes)


def _modes(driver: Document, _now: float) -> Any:
    return ",".join(at(driver, "spec.volumeLifecycleModes", ())) or NONE


def _audiences(driver: Document, _now: float) -> Any:
    tokens = at(driver, "spec.tokenRequests", None)
    return "<unset>" if tokens is None else ",".join(token.get("audience", "") for token in tokens)


def _flag(name: str, *, unset: bool = False) -> Any:
    return lambda driver, _now: bool(at(driver, f"spec.{name}", unset))


CSI_DRIVER = Kind(
    group=GROUP,
    version="v1",
    kind="CSIDriver",
    plural="csidrivers",
    singular="csidriver",
    namespaced=False,
    schema=f"{_STORAGE}.CSIDriver",
    storage=ResourceKey(GROUP, "csidrivers"),
    has_generation=True,
    unconditional_update=False,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("AttachRequired", _flag("attachRequired", unset=True), "boolean", description="Whether it attaches."),
        Column("PodInfoOnMount", _flag("podInfoOnMount"), "boolean", description="Whether it is told of the pod."),
        Column("StorageCapacity", _flag("storageCapacity"), "boolean", description="Whether it says what room it has."),
        Column("TokenRequests", _audiences, description="Audiences of the tokens that it needs."),
        Column("RequiresRepublish", _flag("requiresRepublish"), "boolean", description="Whether it is called again."),
        Column("Modes", _modes, description="Kinds of volumes that it has."),
        AGE,
    ),
    default=_default_driver,
    validate=_driver_errors,
    validate_update=_driver_update_errors,
)


def _check_topology_keys(errors: Errors, path: str, keys: Sequence[str]) -> None:
    for place, key in enumerate(keys):
        if not key:
            errors.append(required(path))
        if key in keys[:place]:
            errors.append(duplicate(path, key))
        if problem := names.qualified_name(key):
            errors.append(invalid(path, key, problem))


def _node_errors(node: Document) -> list[FieldError]:
    errors = metadata_errors(node, names.dns_subdomain, namespaced=False)
    seen: set[str] = set()
    for index, driver in enumerate(at(node, "spec.drivers", ())):
        path, name, identity = f"spec.drivers[{index}]", driver.get("name", ""), driver.get("nodeID", "")
        check_csi_driver(errors, f"{path}.name", name)
        if not identity:
            errors.append(required(f"{path}.nodeID"))
        if len(identity) > _LONGEST_NODE_ID:
            errors.append(invalid(f"{path}.nodeID", identity, f"must be {_LONGEST_NODE_ID} characters or less"))
        count = at(driver, "allocatable.count", 0)
        if count < 0:
            errors.append(invalid(f"{path}.allocatable.count", count, NOT_NEGATIVE))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        _check_topology_keys(errors, path, driver.get("topologyKeys") or ())
    return errors


def _node_update_errors(new: Document, old: Document) -> list[FieldError]:
    """A driver's entry comes and goes whole; only how many volumes fit may change (KEP-4876)."""
    errors = metadata_update_errors(new, old)
    before = {each.get("name", ""): each for each in at(old, "spec.drivers", ())}
    for driver in at(new, "spec.drivers", ()):
        known = before.get(driver.get("name", ""))
        if known is not None:
            errors += immutable("spec.drivers", *({**each, "allocatable": None} for each in (driver, known)))
    return errors


CSI_NODE = Kind(
    group=GROUP,
    version="v1",
    kind="CSINode",
    plural="csinodes",
    singular="csinode",
    namespaced=False,
    schema=f"{_STORAGE}.CSINode",
    storage=ResourceKey(GROUP, "csinodes"),
    unconditional_update=False,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("Drivers", size("spec.drivers"), "integer", description="How many CSI drivers the node has."),
        AGE,
    ),
    validate=_node_errors,
    validate_update=_node_update_errors,
)


def _capacity_errors(capacity: Document) -> list[FieldError]:
    errors = metadata_errors(capacity, names.dns_subdomain, namespaced=True)
    errors += selector_errors("nodeTopology", capacity.get("nodeTopology"))
    name = capacity.get("storageClassName", "")
    if not name:
        errors.append(invalid("storageClassName", name, names.dns_subdomain(name) or ""))
    check_class(errors, "storageClassName", name)
    amount = capacity.get("capacity")
    if amount is not None and quantity.parse(amount).nanos < 0:
        errors.append(invalid("capacity", amount, NOT_NEGATIVE))
    return errors


def _capacity_update_errors(new: Document, old: Document) -> list[FieldError]:
    errors = metadata_update_errors(new, old)
    for name in ("nodeTopology", "storageClassName"):
        errors += immutable(name, new.get(name), old.get(name))
    return errors


CSI_STORAGE_CAPACITY = Kind(
    group=GROUP,
    version="v1",
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    singular="csistoragecapacity",
    namespaced=True,
    schema=f"{_STORAGE}.CSIStorageCapacity",
    storage=ResourceKey(GROUP, "csistoragecapacities"),
    unconditional_update=False,
    name_rule=names.dns_subdomain,
    columns=(
        NAME,
        Column("StorageClassName", text("storageClassName"), description="The class that the room is for."),
        Column("Capacity", text("capacity", "<unset>"), description="How much there is."),
    ),
    validate=_capacity_errors,
    validate_update=_capacity_update_errors,
)
