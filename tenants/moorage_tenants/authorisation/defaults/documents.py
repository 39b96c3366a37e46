"""All default roles and bindings as documents, and what a newer server changes in those that are there already.

Source of the merge: ``component-helpers/auth/rbac/reconciliation``: what is missing is added, nothing is taken away, and who
sets the annotation ``rbac.authorization.kubernetes.io/autoupdate`` to "false" keeps a role as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from moorage.resources.kind import Document
from moorage.resources.registry import Registry
from moorage_tenants import names
from moorage_tenants.authorisation.defaults.everybody import EVERYBODY
from moorage_tenants.authorisation.defaults.making import AUTOUPDATE, cluster_binding
from moorage_tenants.authorisation.defaults.ours import CONTROLLERS, controllers_role
from moorage_tenants.authorisation.defaults.parts import PARTS
from moorage_tenants.authorisation.defaults.people import PEOPLE
from moorage_tenants.authorisation.permissions import Permissions
from moorage_tenants.authorisation.rules import compact, read_rules

_LOGGED_IN, _EVERYBODY = names.AUTHENTICATED, f"{names.AUTHENTICATED} system:unauthenticated"

BINDINGS = (
    cluster_binding("cluster-admin", groups=names.MASTERS),
    cluster_binding("system:basic-user", groups=_LOGGED_IN),
    cluster_binding("system:discovery", groups=_LOGGED_IN),
    cluster_binding("system:public-info-viewer", groups=_EVERYBODY),
    cluster_binding("system:service-account-issuer-discovery", groups="system:serviceaccounts"),
    cluster_binding("system:monitoring", groups="system:monitoring"),
    cluster_binding("system:kube-controller-manager", users="system:kube-controller-manager"),
    cluster_binding("system:kube-dns", users="system:serviceaccount:kube-system:kube-dns"),
    cluster_binding("system:kube-scheduler", users="system:kube-scheduler"),
    cluster_binding("system:volume-scheduler", users="system:kube-scheduler"),
    cluster_binding("system:node-proxier", users="system:kube-proxy"),
    cluster_binding("system:moorage:basic-user", groups=_LOGGED_IN),
    cluster_binding(CONTROLLERS, groups=names.CONTROLLERS),
)


def default_documents(registry: Registry) -> list[Document]:
    """Every default role and binding, roles first; those that gather rules come after those that give them."""
    roles = [*PARTS, *EVERYBODY, controllers_role(registry), *PEOPLE]
    order = {"view": 1, "edit": 2, "admin": 3}
    roles.sort(key=lambda role: order.get(role["metadata"]["name"], 0))
    return [deepcopy(document) for document in (*roles, *BINDINGS)]


def brought_up_to_date(stored: Document, wanted: Document) -> Document | None:
    """``stored`` with what ``wanted`` has and it lacks; None where nothing is to be changed."""
    metadata: dict[str, Any] = stored["metadata"]
    if (metadata.get("annotations") or {}).get(AUTOUPDATE) == "false" or AUTOUPDATE not in _annotations(wanted):
        return None
    new = {**stored, "metadata": {**metadata}}
    for field in ("labels", "annotations"):
        given: Mapping[str, str] = wanted["metadata"].get(field) or {}
        present: Mapping[str, str] = metadata.get(field) or {}
        new["metadata"][field] = {**given, **present}
    if "subjects" in wanted:
        subjects: Sequence[Any] = stored.get("subjects") or ()
        new["subjects"] = [*subjects, *(each for each in wanted["subjects"] if each not in subjects)]
    elif "aggregationRule" in wanted:
        present_selectors = (stored.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        selectors = wanted["aggregationRule"]["clusterRoleSelectors"]
        missing = [each for each in selectors if each not in present_selectors]
        new["aggregationRule"] = {"clusterRoleSelectors": [*present_selectors, *missing]}
    else:
        rules = compact(Permissions(read_rules(stored)).missing(read_rules(wanted)))
        new["rules"] = [*(stored.get("rules") or ()), *(rule.document() for rule in rules)]
    return new if new != stored else None


def _annotations(document: Document) -> Mapping[str, str]:
    annotations: Mapping[str, str] = document["metadata"].get("annotations") or {}
    return annotations
