"""Pods, ReplicaSets and Deployments as documents for tests against a whole installation."""

from __future__ import annotations

from typing import Any

from tests.support.rest import Document

SLEEP = "trap 'exit 0' TERM; sleep 3600 & wait"
"""A script that runs until it is told to stop, and then stops at once."""


def container(image: str, script: str = SLEEP, name: str = "main", **more: Any) -> Document:
    """A container that runs a shell script."""
    return {"name": name, "image": image, "imagePullPolicy": "Never", "command": ["sh", "-c", script], **more}


def pod(name: str, *containers: Document, labels: dict[str, str] | None = None, **spec: Any) -> Document:
    """A pod that is not restarted and has a second to end."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {"name": name}},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": list(containers), **spec},
    }


def _set(kind: str, name: str, template: Document, replicas: int, **spec: Any) -> Document:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template},
            **spec,
        },
    }


def nowhere() -> Document:
    """A pod's spec that no node takes: for what controllers do without anything that runs."""
    return {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "none.local/x:1"}]}


def running(image: str, **more: Any) -> Document:
    """A pod's spec that starts quickly and ends quickly."""
    return {"terminationGracePeriodSeconds": 1, "containers": [container(image, **more)]}


def replicaset(name: str, template: Document, replicas: int = 1, **spec: Any) -> Document:
    """A ReplicaSet of pods labelled ``app=NAME``."""
    return _set("ReplicaSet", name, template, replicas, **spec)


def deployment(name: str, template: Document, replicas: int = 1, **spec: Any) -> Document:
    """A Deployment of pods labelled ``app=NAME``."""
    return _set("Deployment", name, template, replicas, **spec)


def replication_controller(name: str, template: Document, replicas: int = 1, **spec: Any) -> Document:
    """A ReplicationController of pods labelled ``app=NAME``."""
    labels = {"app": name}
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": labels,
            "template": {"metadata": {"labels": labels}, "spec": template},
            **spec,
        },
    }
