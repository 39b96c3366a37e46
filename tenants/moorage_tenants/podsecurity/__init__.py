"""The Pod Security Standards: what a pod may ask of its node (KEP-2579), by level, version and check.

``levels`` reads what namespaces and tenants ask for, ``configuration`` what the server is told of defaults and exemptions;
``baseline`` and ``restricted`` hold one function for each check,
``evaluation`` says which of them hold at a level and version, ``admission`` refuses and warns. Nothing here writes anything.
"""
