"""Scheduler: placement on given and generated states."""
