"""SealedSecrets: Secrets that may be committed. Anybody may seal to the platform's public key; only the platform opens.

Lives here: the cipher, the key pairs, and the Secret that is written together with a SealedSecret.
Does not live here: the kind's declaration (``moorage.resources.sealed_secrets``), HTTP (``moorage_tenants.secret_api``).
"""
