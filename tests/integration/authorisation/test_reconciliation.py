"""A server that starts brings the default roles back, and leaves alone what an administrator has set so."""

from __future__ import annotations

from tests.integration.authorisation.documents import RBAC, rule
from tests.support.access import serve_access
from tests.support.certificates import Certificates

ADMIN = "admin-token"
ROLES, BINDINGS = f"{RBAC}/clusterroles", f"{RBAC}/clusterrolebindings"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
MERGE = {"Content-Type": "application/merge-patch+json"}


async def test_default_roles_come_back_at_the_next_start(database_url: str, certificates: Certificates) -> None:
    own = rule("get", "example.com", "things")
    async with serve_access(database_url, certificates) as first:
        _, discovery = await first.call(ADMIN, "GET", f"{ROLES}/system:discovery")
        for method, path, body in (
            ("PATCH", f"{ROLES}/system:aggregate-to-view", {"rules": [own]}),
            ("PATCH", f"{ROLES}/system:basic-user", {"rules": [], "metadata": {"annotations": {AUTOUPDATE: "false"}}}),
            ("DELETE", f"{ROLES}/system:kube-dns", None),
            ("PATCH", f"{BINDINGS}/system:discovery", {"subjects": []}),
        ):
            code, answer = await first.call(ADMIN, method, path, body, MERGE if body else None)
            assert code == 200, answer
        assert (await first.call("ann", "GET", "/apis"))[0] == 403
    async with serve_access(database_url, certificates) as second:
        _, view = await second.call(ADMIN, "GET", f"{ROLES}/system:aggregate-to-view")
        assert view["rules"][0] == own
        assert any("pods" in each["resources"] for each in view["rules"])
        _, gathered = await second.call(ADMIN, "GET", f"{ROLES}/admin")
        assert all(each in gathered["rules"] for each in view["rules"])
        _, kept = await second.call(ADMIN, "GET", f"{ROLES}/system:basic-user")
        assert not kept.get("rules")
        assert (await second.call(ADMIN, "GET", f"{ROLES}/system:kube-dns"))[0] == 200
        _, same = await second.call(ADMIN, "GET", f"{ROLES}/system:discovery")
        assert same["metadata"]["resourceVersion"] == discovery["metadata"]["resourceVersion"]
        assert (await second.call("ann", "GET", "/apis"))[0] == 200
