"""A release's life by the real Helm: install, list, upgrade, rollback, failure, uninstall; releases are Secrets."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.installation import Installation
from tests.support.kubectl import Kubectl, tool

pytestmark = pytest.mark.docker

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: {{ .Values.image | quote }}
          imagePullPolicy: Never
          command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"]
          envFrom: [{configMapRef: {name: {{ .Release.Name }}}}]
"""
CONFIGMAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  labels: {app.kubernetes.io/managed-by: {{ .Release.Service }}}
data: {GREETING: {{ .Values.greeting | quote }}}
"""


@pytest.fixture
def chart(tmp_path: Path, image: str) -> Path:
    """A chart with a Deployment and its ConfigMap."""
    root = tmp_path / "chart"
    (root / "templates").mkdir(parents=True)
    (root / "Chart.yaml").write_text("apiVersion: v2\nname: small\nversion: 0.1.0\n")
    (root / "values.yaml").write_text(f"replicas: 1\ngreeting: hello\nimage: {image}\n")
    (root / "templates" / "deployment.yaml").write_text(DEPLOYMENT)
    (root / "templates" / "configmap.yaml").write_text(CONFIGMAP)
    return root


class Helm:
    """``helm`` in one namespace."""

    def __init__(self, installation: Installation, namespace: str, home: Path) -> None:
        self._line = [tool("helm"), "--kubeconfig", str(installation.data_dir / "kubeconfig"), "-n", namespace]
        self._environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it."""
        return subprocess.run(
            [*self._line, *arguments], capture_output=True, text=True, check=False, timeout=120, env=self._environment
        )

    def __call__(self, *arguments: str) -> str:
        """Run it; its output."""
        done = self.attempt(*arguments)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
        return done.stdout


def test_the_life_of_a_release(installation: Installation, namespace: str, chart: Path, tmp_path: Path) -> None:
    helm, kubectl = Helm(installation, namespace, tmp_path), installation.kubectl(namespace)
    assert "STATUS: deployed" in helm("install", "web", str(chart), "--wait", "--timeout", "60s")
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.status.availableReplicas}") == "1"
    (listed,) = json.loads(helm("list", "-o", "json"))
    assert (listed["name"], listed["revision"], listed["status"]) == ("web", "1", "deployed")
    assert kubectl("get", "secrets", "-l", "owner=helm", "-o", "name") == "secret/sh.helm.release.v1.web.v1"
    assert kubectl("get", "secret", "sh.helm.release.v1.web.v1", "-o", "jsonpath={.type}") == "helm.sh/release.v1"
    change = ("--set", "greeting=changed", "--set", "replicas=2")
    assert "REVISION: 2" in helm("upgrade", "web", str(chart), *change, "--wait", "--timeout", "60s")
    assert _greeting(kubectl) == "changed"
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    assert [each["status"] for each in json.loads(helm("history", "web", "-o", "json"))] == ["superseded", "deployed"]
    helm("rollback", "web", "1", "--wait", "--timeout", "60s")
    assert _greeting(kubectl) == "hello"
    assert "greeting: changed" in helm("get", "values", "web", "--revision", "2")
    assert 'release "web" uninstalled' in helm("uninstall", "web", "--wait", "--timeout", "60s")
    assert (
        kubectl("get", "deployments,configmaps,secrets", "-l", "app.kubernetes.io/managed-by=Helm", "-o", "name") == ""
    )
    assert kubectl("get", "deployments", "-o", "name") == ""


def test_an_install_that_cannot_be_says_why(
    installation: Installation, namespace: str, chart: Path, tmp_path: Path
) -> None:
    helm = Helm(installation, namespace, tmp_path)
    failed = helm.attempt("install", "bad", str(chart), "--set", "replicas=-1")
    assert failed.returncode != 0
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in failed.stderr
    dry = helm("install", "dry", str(chart), "--dry-run=server")
    assert "GREETING" in dry
    assert installation.kubectl(namespace)("get", "secrets", "-l", "name=dry", "-o", "name") == ""


def _greeting(kubectl: Kubectl) -> str:
    return kubectl("get", "configmap", "web", "-o", "jsonpath={.data.GREETING}")
