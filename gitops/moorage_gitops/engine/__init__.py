"""The GitOps engine: watches Applications and what they own, and writes their health. A client of the API like any other."""
