"""Tests of moorage.api.fairness."""
