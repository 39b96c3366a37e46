"""Which resource a path names."""

from __future__ import annotations

import pytest

from moorage.api.paths import Path, parse


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/nodes", Path("", "v1", "nodes", False, "", "", "", False)),
        ("/api/v1/nodes/", Path("", "v1", "nodes", False, "", "", "", False)),
        ("/api/v1/nodes/n/status", Path("", "v1", "nodes", False, "", "n", "status", False)),
        ("/api/v1/pods", Path("", "v1", "pods", False, "", "", "", False)),
        ("/api/v1/namespaces/a", Path("", "v1", "namespaces", False, "", "a", "", False)),
        ("/api/v1/namespaces/a/finalize", Path("", "v1", "namespaces", False, "", "a", "finalize", False)),
        ("/api/v1/namespaces/a/status", Path("", "v1", "namespaces", False, "", "a", "status", False)),
        ("/api/v1/namespaces/a/pods", Path("", "v1", "pods", True, "a", "", "", False)),
        ("/api/v1/namespaces/a/pods/p/log", Path("", "v1", "pods", True, "a", "p", "log", False)),
        ("/apis/apps/v1/namespaces/a/deployments/d", Path("apps", "v1", "deployments", True, "a", "d", "", False)),
        ("/api/v1/watch/namespaces/a/pods", Path("", "v1", "pods", True, "a", "", "", True)),
        # A namespace's own subresource wins over a namespaced resource of that name only in the core group.
        ("/apis/x.io/v1/namespaces/a/status", Path("x.io", "v1", "status", True, "a", "", "", False)),
    ],
)
def test_resource_paths(path: str, expected: Path) -> None:
    assert parse(path) == expected


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/v1", "/api/v1/", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/api/v1//nodes",
     "/api/v1/nodes/n/status/x", "/api/v1/namespaces/a/pods/p/log/x", "/git/a/b.git/info/refs"],
)  # fmt: skip
def test_everything_else_is_no_resource(path: str) -> None:
    assert parse(path) is None
