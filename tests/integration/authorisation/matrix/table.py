"""What everybody may, written down by hand. A row for each resource, a column for each kind of people (see ``people``).

g get, l list, w watch, c create, u update, p patch, d delete, x deletecollection: of what is in the tenant's namespace, or of the
whole cluster for kinds without one. L W C X: the same over all namespaces. Whatever is not written down must be refused with
403, in the same words for what is there and for what is not. Administrators may everything. "-" is nothing.
"""

from __future__ import annotations

COLUMNS = ("any", "view", "edit", "own", "node", "other", "ctl")

RESOURCES = """
                                           any view edit     own      node   other ctl
componentstatuses                          -   -    -        -        -      -     -
configmaps                                 -   glw  glwcupdx glwcupdx g      -     glwcupdxLWCX
endpoints                                  -   glw  glw      glw      -      -     glwcupdxLWCX
events                                     -   glw  glwcupdx glwcupdx cupC   cupC  glwcupdxLWCX
limitranges                                -   glw  glw      glw      -      -     glwcupdxLWCX
namespaces                                 -   glw  glw      glwcupd  -      -     glwcupd
namespaces/status                          -   g    g        g        -      -     gup
namespaces/finalize                        -   -    -        -        -      -     u
nodes                                      -   -    -        -        glwcup lw    glwupdx
nodes/proxy                                -   -    -        -        -      -     -
nodes/status                               -   -    -        -        gup    -     gup
persistentvolumeclaims                     -   glw  glwcupdx glwcupdx g      -     glwcupdxLWCX
persistentvolumeclaims/status              -   g    g        g        -      -     gup
persistentvolumes                          -   -    -        -        g      -     glwcupdx
persistentvolumes/status                   -   -    -        -        -      -     gup
pods                                       -   glw  glwcupdx glwcupdx gd     -     glwcupdxLWCX
pods/attach                                -   -    gc       gc       -      -     -
pods/binding                               -   -    -        -        -      -     c
pods/ephemeralcontainers                   -   -    up       up       -      -     -
pods/eviction                              -   -    c        c        -      -     c
pods/exec                                  -   -    gc       gc       -      -     -
pods/log                                   -   g    g        g        -      -     -
pods/portforward                           -   -    gc       gc       -      -     -
pods/proxy                                 -   -    gcupd    gcupd    -      -     -
pods/resize                                -   -    up       up       -      -     -
pods/status                                -   g    g        g        gup    -     gup
podtemplates                               -   -    -        -        -      -     glwcupdxLWCX
replicationcontrollers                     -   glw  glwcupdx glwcupdx -      -     glwcupdxLWCX
replicationcontrollers/scale               -   g    gup      gup      -      -     gup
replicationcontrollers/status              -   g    g        g        -      -     gup
resourcequotas                             -   glw  glw      glw      -      -     glwcupdxLWCX
resourcequotas/status                      -   g    g        g        -      -     gup
secrets                                    -   -    glwcupdx glwcupdx g      -     glwpdxLWX
serviceaccounts                            -   glw  glwcupdx glwcupdx -      -     glwcupdxLWCX
serviceaccounts/token                      -   -    c        c        c      -     -
services                                   -   glw  glwcupdx glwcupdx glwLW  glwLW glwcupdxLWCX
services/proxy                             -   -    gcupd    gcupd    -      -     -
services/status                            -   g    g        g        -      -     gup
deployments.apps                           -   glw  glwcupdx glwcupdx -      -     glwupdxLWX
deployments.apps/scale                     -   g    gup      gup      -      -     gup
deployments.apps/status                    -   g    g        g        -      -     gup
replicasets.apps                           -   glw  glwcupdx glwcupdx -      -     glwcupdxLWCX
replicasets.apps/scale                     -   g    gup      gup      -      -     gup
replicasets.apps/status                    -   g    g        g        -      -     gup
selfsubjectreviews.authentication.k8s.io   c   c    c        c        c      c     c
tokenreviews.authentication.k8s.io         -   -    -        -        -      -     -
localsubjectaccessreviews.authorization.k8s.io -  -  -       c        -      -     -
selfsubjectaccessreviews.authorization.k8s.io  c  c  c       c        c      c     c
selfsubjectrulesreviews.authorization.k8s.io   c  c  c       c        c      c     c
subjectaccessreviews.authorization.k8s.io  -   -    -        -        -      -     -
certificatesigningrequests.certificates.k8s.io - -  -        -        -      -     glwupdx
certificatesigningrequests.certificates.k8s.io/approval - - - -       -      -     -
certificatesigningrequests.certificates.k8s.io/status - - -  -        -      -     gup
leases.coordination.k8s.io                 -   -    glwcupdx glwcupdx -      -     glwcupdxLWCX
endpointslices.discovery.k8s.io            -   glw  glw      glw      glwLW  glwLW glwcupdxLWCX
events.events.k8s.io                       -   glw  glw      glw      cupC   cupC  glwcupdxLWCX
flowschemas.flowcontrol.apiserver.k8s.io   -   -    -        -        -      -     glwcupdx
flowschemas.flowcontrol.apiserver.k8s.io/status - - -        -        -      -     gup
prioritylevelconfigurations.flowcontrol.apiserver.k8s.io - - - -      -      -     glwcupdx
prioritylevelconfigurations.flowcontrol.apiserver.k8s.io/status - - - - -    -     gup
applications.gitops.moorage.io             -   glw  glwcupdx glwcupdx -      -     glwcupdxLWCX
applications.gitops.moorage.io/status      -   g    gp       gp       -      -     gup
repositories.gitops.moorage.io             -   glw  glwcupdx glwcupdx -      -     glwupdxLWX
repositories.gitops.moorage.io/status      -   g    gp       gp       -      -     gup
batches.moorage.io                         c   c    c        c        c      c     c
transactions.moorage.io                    c   c    c        c        c      c     c
nodes.metrics.k8s.io                       -   -    -        -        -      -     -
pods.metrics.k8s.io                        -   gl   gl       gl       -      -     -
nodeports.network.moorage.io               -   -    -        -        -      -     glwcupdx
policyrules.network.moorage.io             -   -    -        -        glwLW  glwLW glwcupdxLWCX
ingressclasses.networking.k8s.io           -   -    -        -        -      -     glwcupdx
ingresses.networking.k8s.io                -   glw  glwcupdx glwcupdx -      -     glwcupdxLWCX
ingresses.networking.k8s.io/status         -   g    g        g        -      -     gup
ipaddresses.networking.k8s.io              -   -    -        -        -      -     glwcupdx
networkpolicies.networking.k8s.io          -   glw  glwcupdx glwcupdx -      -     glwcupdxLWCX
servicecidrs.networking.k8s.io             -   -    -        -        glw    glw   glwcupdx
servicecidrs.networking.k8s.io/status      -   -    -        -        -      -     gup
runtimeclasses.node.k8s.io                 -   -    -        -        glw    glw   glwcupdx
poddisruptionbudgets.policy                -   glw  glwcupdx glwcupdx -      -     glwcupdxLWCX
poddisruptionbudgets.policy/status         -   g    g        g        -      -     gup
clusterrolebindings.rbac.authorization.k8s.io - -   -        -        -      -     glwpdx
clusterroles.rbac.authorization.k8s.io     -   -    -        -        -      -     glwpdx
rolebindings.rbac.authorization.k8s.io     -   -    -        glwcupdx -      -     glwpdxLWX
roles.rbac.authorization.k8s.io            -   -    -        glwcupdx -      -     glwpdxLWX
priorityclasses.scheduling.k8s.io          -   -    -        -        -      -     glwcupdx
keyrotations.secrets.moorage.io            -   -    -        -        -      -     glwpdx
keyrotations.secrets.moorage.io/status     -   -    -        -        -      -     gup
sealedsecrets.secrets.moorage.io           -   glw  glwcupdx glwcupdx -      -     glwpdxLWX
sealedsecrets.secrets.moorage.io/status    -   g    g        g        -      -     gup
deviceclasses.resource.k8s.io              -   -    -        -        -      -     glwcupdx
resourceclaims.resource.k8s.io             -   glw  glwcupdx glwcupdx -      -     glwcupdxLWCX
resourceclaims.resource.k8s.io/status      -   g    g        g        -      -     gup
resourceclaimtemplates.resource.k8s.io     -   glw  glwcupdx glwcupdx -      -     glwcupdxLWCX
resourceslices.resource.k8s.io             -   -    -        -        -      -     glwcupdx
csidrivers.storage.k8s.io                  -   -    -        -        -      -     glwcupdx
csinodes.storage.k8s.io                    -   -    -        -        -      -     glwcupdx
csistoragecapacities.storage.k8s.io        -   -    -        -        -      -     glwcupdxLWCX
storageclasses.storage.k8s.io              -   -    -        -        -      -     glwcupdx
volumeattachments.storage.k8s.io           -   -    -        -        -      -     glwcupdx
volumeattachments.storage.k8s.io/status    -   -    -        -        -      -     gup
volumeattributesclasses.storage.k8s.io     -   -    -        -        -      -     glwcupdx
tenants.tenancy.moorage.io                 -   glw  glw      glwup    -      -     glwupdx
tenants.tenancy.moorage.io/status          -   g    g        g        -      -     gup
"""

NARROWED = frozenset({"namespaces", "tenants.tenancy.moorage.io"})
"""Everybody may list and watch these, and sees what they may get."""
BESIDE = frozenset({("red-owner", "namespaces", "c")})
"""Owners make namespaces; in whose name is admission's business."""

PATHS = """
GET    /livez                                        everybody
GET    /livez/{check}                                everybody
GET    /healthz                                      everybody
GET    /healthz/{check}                              everybody
GET    /readyz                                       everybody
GET    /readyz/{check}                               everybody
GET    /version                                      everybody
GET    /version/                                     everybody
GET    /cacerts                                      everybody
GET    /metrics
GET    /openapi/v2                                   known
GET    /openapi/v3                                   known
GET    /openapi/v3/{path:path}                       known
GET    /api                                          known
GET    /api/                                         known
GET    /api/{version}                                known
GET    /api/{version}/                               known
GET    /apis                                         known
GET    /apis/                                        known
GET    /apis/{group}                                 known
GET    /apis/{group}/                                known
GET    /apis/{group}/{version}                       known
GET    /apis/{group}/{version}/                      known
GET    /git/{namespace}/{name}.git/info/refs?service=git-upload-pack   view edit own ctl
GET    /git/{namespace}/{name}.git/info/refs?service=git-receive-pack  edit own
POST   /git/{namespace}/{name}.git/git-upload-pack   view edit own ctl
POST   /git/{namespace}/{name}.git/git-receive-pack  edit own
GET    /apis/moorage.io/v1/tokens                    people view edit own
POST   /apis/moorage.io/v1/tokens                    people view edit own
DELETE /apis/moorage.io/v1/tokens/{name}
POST   /apis/moorage.io/v1/nodecredentials           known forged
GET    /.well-known/openid-configuration             red-account account
GET    /openid/v1/jwks                               red-account account
GET    /.well-known/moorage                          everybody
GET    /apis/secrets.moorage.io/v1/sealingkeys       known
POST   /apis/moorage.io/v1/namespaces/{namespace}/sealedsecrets/{name}/unseal       edit own
POST   /apis/moorage.io/v1/namespaces/{namespace}/sealedsecrets/{name}/reseal       edit own
GET    /apis/moorage.io/v1/namespaces/{namespace}/secrets/{name}/history            edit own
GET    /apis/moorage.io/v1/namespaces/{namespace}/secrets/{name}/history/{version:int} edit own
POST   /apis/moorage.io/v1/namespaces/{namespace}/secrets/{name}/rollback           edit own
GET    /apis/moorage.io/v1/audit                     red-admin red-owner own
GET    /apis/moorage.io/v1/audit/verify
"""
"""Who may, beside administrators. "forged" is a token that nobody made: the endpoint takes no identity, but what it exchanges."""

SOCKETS = """
/api/v1/namespaces/there/pods/there/exec         edit own admin
/api/v1/namespaces/there/pods/there/attach       edit own admin
/api/v1/namespaces/there/pods/there/portforward  edit own admin
/api/v1/namespaces/there/pods/there/log          view edit own admin
/api/v1/namespaces/there/pods/there/proxy        edit own admin
/api/v1/namespaces/there/services/there/proxy    edit own admin
/apis/moorage.io/v1/nodes/there/tunnel           node admin
/apis/moorage.io/v1/nodes/there/dial
"""
"""WebSockets, and who may open them. The last is for other servers, who have a key of their own."""


def rows() -> dict[str, dict[str, str]]:
    """Resource -> column -> letters."""
    found = {}
    for line in RESOURCES.strip().splitlines()[1:]:
        resource, *letters = line.split()
        assert len(letters) == len(COLUMNS), line
        assert resource not in found, line
        found[resource] = {column: each.replace("-", "") for column, each in zip(COLUMNS, letters, strict=True)}
    return found


def paths() -> dict[tuple[str, str], list[str]]:
    """(method, path) -> who may."""
    return {(method, path): who for method, path, *who in (line.split() for line in PATHS.strip().splitlines())}


def sockets() -> dict[str, list[str]]:
    """Path -> who may."""
    return {path: who for path, *who in (line.split() for line in SOCKETS.strip().splitlines())}
