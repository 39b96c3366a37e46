"""Who may do what: roles and bindings, nodes, tenants, and that nobody hands out more than they hold.

Lives here: the one ``authorise()``, the index of roles and bindings that it asks, the admission that keeps rights from growing,
the aggregation of ClusterRoles, and the roles that every installation begins with.
Does not live here: who somebody is (``moorage_tenants.authentication``), what a tenant may have (``moorage_tenants.tenancy``).
"""
