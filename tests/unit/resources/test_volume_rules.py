"""Rules of volumes."""

from typing import Any

import pytest

from tests.unit.resources.documents import kind, pod, problems

POD = kind("Pod")
HERE = "spec.volumes[0]"
ITEMS = [{"key": "k", "path": "x"}]


def volume(**source: Any) -> dict[str, Any]:
    return pod(volumes=[{"name": "v", **source}])


def downward(**item: Any) -> dict[str, Any]:
    return volume(downwardAPI={"items": [{"path": "a", **item}]})


def projected(**source: Any) -> dict[str, Any]:
    return volume(projected={"sources": [source]})


FIELD = {"fieldRef": {"fieldPath": "metadata.name"}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (pod(volumes=[{"emptyDir": {}}]), f"{HERE}.name: Required value"),
    (pod(volumes=[{"name": "A", "emptyDir": {}}]), f'{HERE}.name: Invalid value: "A": a lowercase RFC 1123 label'),
    (pod(volumes=[{"name": "v"}, {"name": "v"}]), 'spec.volumes[1].name: Duplicate value: "v"'),
    (
        volume(emptyDir={}, configMap={"name": "c"}),
        f"{HERE}.configMap: Forbidden: may not specify more than 1 volume type",
    ),
    (
        volume(emptyDir={"sizeLimit": "-1"}),
        f"{HERE}.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity",
    ),
    (volume(hostPath={}), f"{HERE}.hostPath.path: Required value"),
    (volume(hostPath={"path": "/a/../b"}), f"{HERE}.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"),
    (
        volume(hostPath={"path": "/a", "type": "Folder"}),
        f'{HERE}.hostPath.type: Unsupported value: "Folder": supported',
    ),
    (volume(secret={}), f"{HERE}.secret.secretName: Required value"),
    (
        volume(secret={"secretName": "s", "defaultMode": 512}),
        f"{HERE}.secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
    ),
    (volume(secret={"secretName": "s", "items": [{"path": "p"}]}), f"{HERE}.secret.items[0].key: Required value"),
    (volume(secret={"secretName": "s", "items": [{"key": "k"}]}), f"{HERE}.secret.items[0].path: Required value"),
    (
        volume(secret={"secretName": "s", "items": [{"key": "k", "path": "../x"}]}),
        f"{HERE}.secret.items[0].path: Invalid value: \"../x\": must not contain '..'",
    ),
    (
        volume(secret={"secretName": "s", "items": [{"key": "k", "path": "..x"}]}),
        f"{HERE}.secret.items[0].path: Invalid value: \"..x\": must not start with '..'",
    ),
    (volume(configMap={}), f"{HERE}.configMap.name: Required value"),
    (
        volume(configMap={"name": "c", "items": [{"key": "k", "path": "p", "mode": 1000}]}),
        f"{HERE}.configMap.items[0].mode: Invalid value: 1000: must be a number",
    ),
    (volume(persistentVolumeClaim={}), f"{HERE}.persistentVolumeClaim.claimName: Required value"),
    (volume(ephemeral={}), f"{HERE}.ephemeral.volumeClaimTemplate: Required value"),
    (volume(image={}), f"{HERE}.image.reference: Required value"),
    (volume(image={"reference": "x", "pullPolicy": "No"}), f'{HERE}.image.pullPolicy: Unsupported value: "No"'),
    (volume(nfs={"server": "s"}), f"{HERE}.nfs.path: Required value"),
    (volume(csi={}), f"{HERE}.csi.driver: Required value"),
    (downward(), f"{HERE}.downwardAPI.items[0]: Required value: one of fieldRef and resourceFieldRef is required"),
    (downward(**FIELD, path=""), f"{HERE}.downwardAPI.items[0].path: Required value"),
    (
        downward(fieldRef={"fieldPath": "spec.nodeName"}),
        f'{HERE}.downwardAPI.items[0].fieldRef.fieldPath: Unsupported value: "spec.nodeName"',
    ),
    (
        downward(resourceFieldRef={"resource": "limits.cpu"}),
        f"{HERE}.downwardAPI.items[0].resourceFieldRef.containerName: Required value",
    ),
    (
        downward(**FIELD, resourceFieldRef={"resource": "limits.cpu", "containerName": "main"}),
        f'{HERE}.downwardAPI.items[0]: Invalid value: "resource": fieldRef and resourceFieldRef can not be',
    ),
    (projected(), f"{HERE}.projected.sources[0]: Required value: must specify a volume type"),
    (
        projected(secret={"name": "s"}, configMap={"name": "c"}),
        f"{HERE}.projected.sources[0].configMap: Forbidden: may not specify more than 1 volume type",
    ),
    (projected(secret={}), f"{HERE}.projected.sources[0].secret.name: Required value"),
    (
        projected(serviceAccountToken={"path": "t", "expirationSeconds": 5}),
        f"{HERE}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: "
        "may not specify a duration less than 10 minutes",
    ),
    (
        projected(serviceAccountToken={"path": "t", "expirationSeconds": 2**33}),
        f"{HERE}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: {2**33}: "
        "may not specify a duration larger than 2^32 seconds",
    ),
    (projected(serviceAccountToken={}), f"{HERE}.projected.sources[0].serviceAccountToken.path: Required value"),
]


@pytest.mark.parametrize(("document", "problem"), REFUSED)
def test_refused(document: dict[str, Any], problem: str) -> None:
    found = problems(POD, document)
    assert len(found) == 1, found
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    "document",
    [
        pod(volumes=[{"name": "a"}, {"name": "b", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}}]),
        volume(hostPath={"path": "/var/log", "type": "Directory"}),
        volume(secret={"secretName": "s", "items": [{"key": "k", "path": "a/b", "mode": 256}]}),
        volume(configMap={"name": "c", "optional": True}),
        volume(nfs={"server": "s", "path": "/p"}),
        volume(persistentVolumeClaim={"claimName": "c"}),
        downward(**FIELD),
        downward(fieldRef={"fieldPath": "metadata.labels['app']"}),
        downward(resourceFieldRef={"resource": "limits.cpu", "containerName": "main"}),
        projected(downwardAPI={"items": [{"path": "a", **FIELD}]}),
        projected(serviceAccountToken={"path": "t", "expirationSeconds": 600}),
    ],
)
def test_accepted(document: dict[str, Any]) -> None:
    assert problems(POD, document) == []


def test_a_broken_volume_cannot_be_mounted() -> None:
    document = volume(configMap={})
    document["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/x"}]
    assert problems(POD, document) == [
        f"{HERE}.configMap.name: Required value",
        'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ]


ASKED = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def scratch(metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return volume(ephemeral={"volumeClaimTemplate": {"metadata": metadata or {}, "spec": {**ASKED, **spec}}})


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (scratch({"labels": {"a": "b"}, "annotations": {"c": "d"}}), ""),
        (volume(ephemeral={}), f"{HERE}.ephemeral.volumeClaimTemplate: Required value"),
        (scratch(accessModes=None), f"{HERE}.ephemeral.volumeClaimTemplate.spec.accessModes: Required value"),
        (scratch(resources={}), f"{HERE}.ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value"),
        (
            scratch({"name": "x"}),
            f"{HERE}.ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set for an ephemeral volume",
        ),
        (scratch({"labels": {"a b": "c"}}), f"{HERE}.ephemeral.volumeClaimTemplate.metadata.labels: Invalid value"),
    ],
)
def test_generic_ephemeral_volumes(document: dict[str, Any], problem: str) -> None:
    found = problems(POD, document)
    assert len(found) == bool(problem)
    assert "".join(found).startswith(problem)


def test_the_claim_of_an_ephemeral_volume_has_a_name_of_its_own() -> None:
    document = scratch()
    document["metadata"]["name"] = "p" * 252
    assert (
        f'{HERE}.name: Invalid value: "v": PVC name "{"p" * 252}-v": must be no more than 253'
        in problems(POD, document)[0]
    )
    document = scratch()
    document["spec"]["volumes"].append({"name": "w", "persistentVolumeClaim": {"claimName": "web-v"}})
    assert problems(POD, document) == [
        'spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: "web-v": '
        "must not reference a PVC that gets created for an ephemeral volume"
    ]


@pytest.mark.parametrize(
    ("sources", "problems_found"),
    [
        (
            [{"configMap": {"name": "a", "items": ITEMS}}, {"secret": {"name": "b", "items": ITEMS}}],
            [f'{HERE}.projected: Invalid value: "b": conflicting duplicate paths'],
        ),
        (
            [{"configMap": {"name": "a", "items": ITEMS}}, {"serviceAccountToken": {"path": "x"}}],
            [f'{HERE}.projected: Invalid value: "x": conflicting duplicate paths'],
        ),
        ([{"clusterTrustBundle": {"name": "ca", "path": "ca.pem"}}], []),
        (
            [{"clusterTrustBundle": {"path": "ca.pem"}}],
            [
                f"{HERE}.projected.sources[0].clusterTrustBundle: Required value: "
                "either name or signerName must be specified"
            ],
        ),
        (
            [{"clusterTrustBundle": {"name": "ca"}}],
            [f"{HERE}.projected.sources[0].clusterTrustBundle.path: Required value"],
        ),
        ([{"podCertificate": {"signerName": "a.com/b", "keyType": "ED25519", "keyPath": "key"}}], []),
        (
            [{"podCertificate": {"signerName": "a.com/b", "keyType": "ED25519"}}],
            [
                f"{HERE}.projected.sources[0].podCertificate: Required value: "
                "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
            ],
        ),
    ],
)
def test_projections(sources: list[dict[str, Any]], problems_found: list[str]) -> None:
    assert problems(POD, volume(projected={"sources": sources})) == problems_found
