"""ServiceAccounts: the tokens that they prove themselves with, signed here and bound to objects.

``keys`` signs and rotates, ``claims`` says what a token holds, ``tokens`` makes and verifies them, ``requests`` is the
``serviceaccounts/token`` endpoint, ``published`` what others need in order to verify (OpenID discovery), ``admission`` gives pods
their account and its token, ``legacy`` fills Secrets of type ``kubernetes.io/service-account-token``.
"""
