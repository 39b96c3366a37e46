"""The roles and bindings that every installation begins with, and keeps.

Lives here: those of Kubernetes v1.36 as far as they make sense here (``people``, ``everybody``, ``parts``), those of our own
parts (``ours``), who has them, and how they are brought up to date at a server's start (``documents``).
Does not live here: anything that an administrator has added; it is left alone.
"""

from moorage_tenants.authorisation.defaults.documents import brought_up_to_date, default_documents

__all__ = ["brought_up_to_date", "default_documents"]
