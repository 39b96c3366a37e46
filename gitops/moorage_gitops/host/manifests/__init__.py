"""Reading manifests: from the bytes of a file to documents whose every field knows its line.

Pure functions over bytes. Nothing here runs Git, talks to the store or knows a kind; nothing here executes what it reads.
"""
