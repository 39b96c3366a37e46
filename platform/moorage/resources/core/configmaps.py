"""ConfigMaps."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.declaring import CORE
from moorage.resources.kind import Column, Kind, ResourceKey
from moorage.resources.printing import AGE, NAME, size

CONFIG_MAP = Kind(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    singular="configmap",
    namespaced=True,
    schema=f"{CORE}.ConfigMap",
    short_names=("cm",),
    storage=ResourceKey("", "configmaps"),
    name_rule=names.dns_subdomain,
    columns=(NAME, Column("Data", size("data", "binaryData"), description="How many keys it holds."), AGE),
)
