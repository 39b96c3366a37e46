"""Where it is kept: PostgreSQL tables, the commit function, the group committer, caches, watches, compaction.

Lives here: everything that sees SQL, and the bytes of documents with their revisions.
Does not live here: HTTP, kinds' rules, who may do what.
"""
