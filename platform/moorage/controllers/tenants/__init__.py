"""Tenants: what their namespaces hold of the platform's is kept as the Tenant says, their status tells what they have, and
those that are marked for deletion go when their time is over.

``upkeep``, ``ending`` and ``status`` decide (documents in, operations or documents out), ``controller`` acts.
"""
