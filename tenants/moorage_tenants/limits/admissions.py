"""The admissions of this package, in the order in which they are to be asked."""

from __future__ import annotations

from moorage.api.contracts import Admission
from moorage_tenants.limits.claims import Claims
from moorage_tenants.limits.devices import Devices
from moorage_tenants.limits.limit_ranges import LimitRanger
from moorage_tenants.limits.priorities import Priorities
from moorage_tenants.limits.runtime_classes import RuntimeClasses


def limiting() -> tuple[Admission, ...]:
    """What fills in and bounds. ``requirements.QuotaRequirements`` comes after all that fill in."""
    return LimitRanger(), Priorities(), RuntimeClasses(), Claims(), Devices()
