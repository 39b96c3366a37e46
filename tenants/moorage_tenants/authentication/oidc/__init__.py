"""Identity providers: tokens that OpenID Connect issuers signed. Source: OpenID Connect Core 1.0 and Discovery 1.0.

``config`` is what an issuer is known by, ``fetch`` the bounded way to it, ``keys`` its signing keys as they rotate, ``issuer``
verifies a token and maps its claims to user and groups, ``issuers`` holds all that are configured.
"""
