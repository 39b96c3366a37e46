"""Manifests that the tests push."""

from __future__ import annotations

from typing import Any

import yaml


def deployment(name: str = "web", replicas: Any = 1, **spec: Any) -> str:
    """A Deployment of one container."""
    labels = {"app": name}
    document = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "registry.test/web:1"}]},
            },
            **spec,
        },
    }
    return yaml.safe_dump(document, sort_keys=False)


def config_map(name: str, namespace: str = "", **data: str) -> str:
    """A ConfigMap."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, sort_keys=False
    )


def many(names: list[str]) -> str:
    """One file with a ConfigMap for each name."""
    return "---\n".join(config_map(name, key="value") for name in names)
