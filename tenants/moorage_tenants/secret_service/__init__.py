"""What a server does about secrets beside storing them: endpoints, the work of rotations, and how these parts are made.

Lives here: ``/apis/secrets.moorage.io/v1/sealingkeys``, the endpoints of single secrets below
``/apis/moorage.io/v1/namespaces``, the loops that run in every server, and the one place where they are composed.
Does not live here: ciphers and keys (``moorage_tenants.sealing``, ``moorage_tenants.sealed_secrets``), SQL.
"""
