"""What exists: kinds, schemas, defaults, rules, columns."""
