"""Tokens, roles, sealing, audit, quota: pure logic."""
