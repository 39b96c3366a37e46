"""Tests: ``unit`` (no processes), ``integration`` (real PostgreSQL, Docker, Git), ``conformance`` (real kubectl,
helm, clients), ``chaos``, ``bench``.
"""
