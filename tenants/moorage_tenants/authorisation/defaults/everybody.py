"""What all may, by being logged in or by coming at all."""

from __future__ import annotations

from moorage_tenants.authorisation.defaults.making import cluster_role, rule, urls

_DISCOVERY = "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"

EVERYBODY = (
    cluster_role(
        "system:basic-user",
        (
            rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
            rule("create", "authentication.k8s.io", "selfsubjectreviews"),
        ),
    ),
    cluster_role("system:discovery", (urls("get", _DISCOVERY),)),
    cluster_role("system:public-info-viewer", (urls("get", "/healthz /livez /readyz /version /version/"),)),
    cluster_role(
        "system:service-account-issuer-discovery",
        (urls("get", "/.well-known/openid-configuration /openid/v1/jwks"),),
    ),
    cluster_role(
        "system:monitoring",
        (urls("get", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"),),
    ),
    # Each member of a transaction or batch is judged by itself.
    cluster_role("system:moorage:basic-user", (rule("create", "moorage.io", "batches transactions"),)),
)
