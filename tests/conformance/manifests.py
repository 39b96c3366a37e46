"""Manifests that the kubectl tests share."""

from __future__ import annotations

import json
from typing import Any


def configmap(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def deployment(name: str, image: str, *, replicas: int = 1, script: str = "sleep 3600", **more: Any) -> str:
    """One container that runs a shell script and ends at once when told to."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", f"trap 'exit 0' TERM; {script} & wait"],
        **more,
    }
    labels = {"app": name}
    spec = {"terminationGracePeriodSeconds": 2, "containers": [container]}
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }
    )


def pod(name: str, image: str, script: str, *, restart: str = "Never", **more: Any) -> str:
    container = {"name": "main", "image": image, "imagePullPolicy": "Never", "command": ["sh", "-c", script], **more}
    spec = {"restartPolicy": restart, "terminationGracePeriodSeconds": 1, "containers": [container]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
