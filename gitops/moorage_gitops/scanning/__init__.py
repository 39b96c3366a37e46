"""Finding secrets that lie in the clear in files: Secret manifests, private keys, tokens, passwords.

Lives here: detectors over the text of one file, which neither read files nor run Git, and what they find. No finding
carries a value.
Does not live here: what becomes of a finding (the Git host refuses a push, ``moorage secrets scan`` prints a report).
"""
