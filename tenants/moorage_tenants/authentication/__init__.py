"""Who asks: credentials of every sort become an identity, or nobody.

``chain`` takes a header or a client certificate and asks the one source that the credential's form points to: ``bootstrap``
(tokens in a file), ``stored`` (tokens in the database: people's, teams', nodes'), ``accounts`` (ServiceAccount tokens, signed
here), ``oidc`` (tokens of identity providers), ``certificates``. ``scopes`` narrows what a token may be used for. Endpoints
and admissions that belong to these credentials live beside them. Who may do what is ``moorage_tenants.authorisation``'s.
"""
