"""From a commit to one transaction: read its manifests, make operations of them, plan what to prune, apply, report.

Planning is pure; reading Git and calling the transaction primitive are thin.
"""
