"""Who did what: what of it is written down, and who may read it.

Lives here: the auditor that the API tells of requests, the policy of what leaves a row, and the endpoints that list and verify.
Does not live here: the table, its chains and the rows of writes, which the store's commit makes (``moorage.store.audited``).
"""

from moorage_tenants.audit.auditor import TableAuditor
from moorage_tenants.audit.endpoint import AuditEndpoints, mounts

__all__ = ["AuditEndpoints", "TableAuditor", "mounts"]
