"""From a file to a pod: the kubelet's names, annotations and refusals."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from moorage_agent.static.manifests import HASH, SEEN, SOURCE, ManifestError, read
from moorage_agent.static.mirrors import of

YAML = b"""
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    day: 2022-01-01
    port: "22:22"
spec:
  containers:
  - {name: c, image: nginx, args: [on, "010"]}
"""


def pod(**spec: Any) -> bytes:
    whole = {"containers": [{"name": "c", "image": "i"}], **spec}
    return orjson.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": whole})


def with_volume(**source: Any) -> bytes:
    return pod(volumes=[{"name": "v", **source}])


def test_a_file_becomes_a_pod_of_this_node() -> None:
    found, digest = read(YAML.replace(b"[on,", b'["on",'), "/etc/static/web.yaml", "n1", 1_700_000_000.25)
    metadata, spec = found["metadata"], found["spec"]
    assert (metadata["name"], metadata["namespace"], metadata["uid"]) == ("web-n1", "default", digest)
    assert metadata["annotations"] == {
        "day": "2022-01-01",
        "port": "22:22",
        SOURCE: "file",
        HASH: digest,
        SEEN: "2023-11-14T22:13:20.250000000Z",
    }
    assert spec["nodeName"] == "n1"
    assert {"operator": "Exists", "effect": "NoExecute"} in spec["tolerations"]
    assert (spec["restartPolicy"], spec["dnsPolicy"]) == ("Always", "ClusterFirst")
    assert spec["containers"][0]["args"] == ["on", "010"]
    assert found["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_the_uid_is_that_of_file_content_and_node() -> None:
    def uid(data: bytes = pod(), path: str = "/a", node: str = "n1", now: float = 1.0) -> Any:
        return read(data, path, node, now).pod["metadata"]["uid"]

    assert uid() == uid(now=9.0) == uid(pod() + b"\n")
    assert len({uid(), uid(path="/b"), uid(node="n2"), uid(pod(hostNetwork=True))}) == 4
    given = orjson.loads(pod())
    given["metadata"]["uid"] = "mine"
    found, digest = read(orjson.dumps(given), "/a", "n1", 1.0)
    assert found["metadata"]["uid"] == found["metadata"]["annotations"][HASH] == "mine" != digest


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: [", "it cannot be read as YAML or JSON"),
        (b"\xff\xfe\x00", "it cannot be read as YAML or JSON"),
        (b"", "it holds no object"),
        (b"[]", "it holds no object"),
        (b"apiVersion: v1\nkind: Service\n", "must be of kind Pod, apiVersion v1"),
        (b"apiVersion: v1\nkind: Pod\n", "name is needed for the pod"),
        (b"apiVersion: v1\nkind: Pod\nmetadata: []\n", "name is needed for the pod"),
        (pod().replace(b"web", b"Web"), "invalid pod: [metadata.name: Invalid value"),
        (YAML, "cannot unmarshal bool into Go struct field Container.spec.containers.args of type string"),
        (pod(containers=[]), "spec.containers: Required value"),
        (pod(containers="c"), "cannot unmarshal string into Go struct field PodSpec.spec.containers"),
        (pod(serviceAccountName="robot"), "static pods may not reference serviceaccounts"),
        (pod(imagePullSecrets=[{"name": "s"}]), "static pods may not reference secrets"),
        (with_volume(secret={"secretName": "s"}), "static pods may not reference secrets"),
        (with_volume(configMap={"name": "m"}), "static pods may not reference configmaps"),
        (with_volume(persistentVolumeClaim={"claimName": "d"}), "static pods may not reference persistentvolumeclaims"),
        (
            with_volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}),
            "static pods may not reference serviceaccounts",
        ),
        (
            with_volume(projected={"sources": [{"secret": {"name": "s"}}]}),
            "static pods may not reference secrets",
        ),
        (
            pod(containers=[{"name": "c", "image": "i", "envFrom": [{"configMapRef": {"name": "m"}}]}]),
            "static pods may not reference configmaps",
        ),
        (
            pod(
                containers=[
                    {
                        "name": "c",
                        "image": "i",
                        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                    }
                ]
            ),
            "static pods may not reference secrets",
        ),
    ],
)
def test_what_is_no_static_pod(data: bytes, words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(data, "/a", "n1", 1.0)
    assert words in str(caught.value)


def test_the_mirror_is_the_node_s_and_has_no_uid_of_the_file() -> None:
    static = read(pod(), "/a", "n1", 1.0).pod
    mirror = of(static, "n1", "node-uid")
    assert "uid" not in mirror["metadata"]
    assert mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"] == static["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "node-uid", "controller": True}
    assert mirror["metadata"]["ownerReferences"] == [owner]
    assert "status" not in mirror
    assert static["metadata"]["uid"], "the static pod itself is left as it was"
