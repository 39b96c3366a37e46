"""What exists: one module per API group that declares its kinds, and the pure rules about documents.

Lives here: kind declarations, published schemas, defaults, validation, table columns, selectable fields, quantities, names.
Does not live here: I/O of any kind, HTTP, SQL, authorisation.
"""
