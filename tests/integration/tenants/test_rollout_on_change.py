"""Real pods are replaced when a Secret or ConfigMap of theirs changes: once for several changes, not at all for none."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from tests.support.docker import IMAGE, import_image
from tests.support.kubectl import Kubectl
from tests.support.wait import until

WATCHES = "moorage.io/rollout-on-change"
HASH = "moorage.io/rollout-hash"
SAY = "echo password=$PASSWORD mode=$(cat /settings/mode); exec sleep 3600"


def deployment(watches: str) -> dict[str, Any]:
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", SAY],
        "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
        "volumeMounts": [{"name": "settings", "mountPath": "/settings"}],
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "settings", "configMap": {"name": "settings"}}],
    }
    labels = {"app": "web"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "annotations": {WATCHES: watches}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def change(kubectl: Kubectl, what: str, name: str, **data: str) -> None:
    kubectl("patch", what, name, "--type=merge", "-p", json.dumps({"data": data}))


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.docker
async def test_pods_are_replaced_once_for_what_changed(kubectl: Kubectl) -> None:
    import_image()
    refused = kubectl.attempt("apply", "-f", "-", stdin=json.dumps(deployment("always")))
    assert f'metadata.annotations[{WATCHES}]: Unsupported value: "always"' in refused.err
    kubectl("create", "secret", "generic", "db", "--from-literal=password=first", "--from-literal=unused=x")
    kubectl("create", "configmap", "settings", "--from-literal=mode=slow")
    kubectl("apply", "-f", "-", stdin=json.dumps(deployment("true")))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")

    def revision() -> str:
        found = kubectl.json("get", "deployment", "web")["metadata"]["annotations"]
        return str(found["deployment.kubernetes.io/revision"])

    def says(text: str) -> bool:
        kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        pods = [each for each in kubectl.json("get", "pods")["items"] if "deletionTimestamp" not in each["metadata"]]
        assert len(pods) == 1
        assert kubectl("logs", pods[0]["metadata"]["name"]) == text
        return True

    await until(lambda: says("password=first mode=slow"), timeout=60, every=0.2)
    assert revision() == "1"

    # What no pod uses changes nothing; then two changes are one rollout.
    kubectl("label", "secret", "db", "owner=me")
    change(kubectl, "secret", "db", unused=encoded("y"))
    change(kubectl, "secret", "db", password=encoded("second"))
    change(kubectl, "configmap", "settings", mode="fast")
    await until(lambda: says("password=second mode=fast"), timeout=60, every=0.2)
    assert revision() == "2"
    template = kubectl.json("get", "deployment", "web")["spec"]["template"]
    assert re.fullmatch("[0-9a-f]{32}", template["metadata"]["annotations"][HASH])

    def told() -> bool:
        events = kubectl.json("get", "events", "--field-selector=reason=RolloutOnChange")["items"]
        assert "A ConfigMap or Secret that the pods use has changed" in [each["message"] for each in events]
        return True

    await until(told, timeout=30)
    # Back to the first values with the rollout undone: the template is the old one, the values are those of now.
    kubectl("rollout", "undo", "deployment/web")
    assert kubectl.json("get", "deployment", "web")["spec"]["template"] == template
    # Without the wish, changes are for volumes only.
    kubectl("annotate", "deployment", "web", f"{WATCHES}=false", "--overwrite")
    change(kubectl, "secret", "db", password=encoded("third"))
    kubectl("annotate", "deployment", "web", f"{WATCHES}=configmaps", "--overwrite")
    await until(lambda: revision() == "3", timeout=30)
    await until(lambda: says("password=third mode=fast"), timeout=60, every=0.2)
