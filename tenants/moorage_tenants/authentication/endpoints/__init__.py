"""HTTP endpoints of our own around credentials: ``/apis/moorage.io/v1/tokens`` and what it says about logging in.

They authenticate and authorise by themselves, with the platform's contracts, and answer refusals as ``Status``.
"""
