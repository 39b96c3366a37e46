"""Tests of moorage_tenants.authorisation."""
