"""Objects that the tests send, and calls that they share."""

from __future__ import annotations

from typing import Any

import aiohttp

Document = dict[str, Any]


def pod(name: str = "p", **metadata: Any) -> Document:
    """A small valid pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, **metadata},
        "spec": {"containers": [{"name": "c", "image": "busybox"}]},
    }


def configmap(name: str = "c", data: dict[str, str] | None = None, **metadata: Any) -> Document:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {"a": "1"}}


def deployment(name: str = "d", replicas: int = 1, **metadata: Any) -> Document:
    """A small valid Deployment."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, **metadata},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "busybox"}]},
            },
        },
    }


def node(name: str = "n") -> Document:
    """A Node."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}


def namespace(name: str) -> Document:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


PODS = "/api/v1/namespaces/default/pods"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def send(
    client: aiohttp.ClientSession, method: str, path: str, body: Any = None, *, expect: int = 200, **options: Any
) -> Document:
    """Send JSON and return the JSON answer; the code must be ``expect``."""
    async with client.request(method, path, json=body, **options) as response:
        text = await response.text()
        assert response.status == expect, f"{method} {path}: {response.status} {text}"
        document: Document = await response.json(content_type=None)
        return document


async def create(client: aiohttp.ClientSession, path: str, body: Document, **options: Any) -> Document:
    """POST that must succeed."""
    return await send(client, "POST", path, body, expect=201, **options)


async def patch(
    client: aiohttp.ClientSession,
    path: str,
    body: Any,
    kind: str = "merge-patch+json",
    *,
    expect: int = 200,
    **options: Any,
) -> Document:
    """PATCH with one of the four types."""
    headers = {"Content-Type": f"application/{kind}", **options.pop("headers", {})}
    async with client.patch(path, json=body, headers=headers, **options) as response:
        text = await response.text()
        assert response.status == expect, f"PATCH {path}: {response.status} {text}"
        document: Document = await response.json()
        return document
