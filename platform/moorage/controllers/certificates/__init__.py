"""CertificateSigningRequests: approved ones are signed, old ones are removed.

``authority`` holds the CA and signs, ``signers`` says what each of Kubernetes' signers accepts, ``plan`` when a request is to go,
``controller`` does it.
"""
