"""Tenants at the door: what a write may say, given the tenant that it falls into.

Lives here: the admission that keeps namespaces with their tenants and everything in them within the Tenant's rules, what
is written together with a new namespace, the loop that tells their usage. Tenants are read through the request's view, so
that one push may make a namespace and its contents.
Does not live here: rights (``moorage_tenants.authorisation``), quota arithmetic (``moorage_tenants.limits``), pod security
(``moorage_tenants.podsecurity``), the kind itself (``moorage.resources.tenancy``), upkeep (``moorage.controllers.tenants``).
"""

from moorage_tenants.tenancy.admission import TenancyAdmission
from moorage_tenants.tenancy.furnishing import NamespaceFurniture
from moorage_tenants.tenancy.usage import TenantUsage

__all__ = ["NamespaceFurniture", "TenancyAdmission", "TenantUsage"]
