"""What pods get of their account, and what they may refer to."""

from __future__ import annotations

import re
from typing import Any

import pytest

from moorage.api.errors import ApiError
from moorage_tenants.authentication.accounts.admission import MOUNT_PATH, AccountAdmission
from moorage_tenants.authentication.accounts.mountable import ENFORCE
from tests.unit.tenants.limits.asking import World, asked, kind

Document = dict[str, Any]
POD = kind("Pod")
MIRROR = {"kubernetes.io/config.mirror": "hash"}


def account(name: str = "default", **more: Any) -> Document:
    metadata = {"namespace": "town", "name": name, **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, **more}


def limited(*secrets: str, **more: Any) -> Document:
    """An account whose pods have these Secrets only."""
    listed = [{"name": each} for each in secrets]
    return account(metadata={"annotations": {ENFORCE: "true"}}, secrets=listed, **more)


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> Document:
    containers = spec.pop("containers", [{"name": "main"}])
    metadata = {"namespace": "town", "name": "walker", "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers, **spec}}


async def admitted(document: Document, *accounts: Document) -> Document:
    """The pod's spec as it is admitted."""
    await AccountAdmission().mutate(asked(World(*(accounts or (account(),))), POD, document))
    spec: Document = document["spec"]
    return spec


async def refused(document: Document, *accounts: Document) -> str:
    with pytest.raises(ApiError) as error:
        await admitted(document, *accounts)
    assert error.value.code == 403
    return str(error.value.message)


async def test_every_container_finds_the_token() -> None:
    """The first ones too; one that has something at its place keeps that."""
    own = {"name": "own", "mountPath": MOUNT_PATH}
    spec = await admitted(
        pod(
            initContainers=[{"name": "first"}],
            containers=[{"name": "main"}, {"name": "other", "volumeMounts": [own]}],
            volumes=[{"name": "own", "emptyDir": {}}],
        )
    )
    volume = spec["volumes"][1]
    mount = {"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}
    assert spec["initContainers"][0]["volumeMounts"] == spec["containers"][0]["volumeMounts"] == [mount]
    assert spec["containers"][1]["volumeMounts"] == [own]
    assert [name for source in volume["projected"]["sources"] for name in source] == [
        "serviceAccountToken", "configMap", "downwardAPI",
    ]  # fmt: skip


async def test_nothing_is_mounted_twice_or_for_nobody() -> None:
    document = pod()
    once = dict(await admitted(document))
    assert await admitted(document) == once
    own = [{"name": "own", "mountPath": MOUNT_PATH}]
    spec = await admitted(
        pod(containers=[{"name": "main", "volumeMounts": own}], volumes=[{"name": "own", "emptyDir": {}}])
    )
    assert len(spec["volumes"]) == 1


async def test_pods_of_a_template_get_the_same_spec_unless_the_name_of_the_volume_is_taken() -> None:
    first, second = await admitted(pod()), await admitted(pod())
    assert first == second
    name = first["volumes"][0]["name"]
    assert re.fullmatch("kube-api-access-[a-z0-9]{5}", name)
    own = {"name": name, "emptyDir": {}}
    kept, added = (await admitted(pod(volumes=[own])))["volumes"]
    assert kept == own
    assert added["name"] != name


async def test_an_update_and_a_subresource_change_nothing() -> None:
    document = pod()
    await AccountAdmission().mutate(asked(World(), POD, document, pod()))
    await AccountAdmission().mutate(asked(World(), POD, document, subresource="binding"))
    assert document == pod()


async def test_an_account_that_is_not_there() -> None:
    message = await refused(pod(serviceAccountName="robot"))
    assert 'error looking up service account town/robot: serviceaccount "robot" not found' in message


ENV = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "theirs", "key": "a"}}}]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"volumes": [{"name": "v", "secret": {"secretName": "theirs"}}]}, 'volume with secret.secretName="theirs"'),
        ({"containers": [{"name": "c", "env": ENV}]}, "container c with envVar A referencing"),
        ({"initContainers": [{"name": "i", "env": ENV}]}, "init container i with envVar A referencing"),
        ({"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "theirs"}}]}]}, "with envFrom referencing"),
        ({"imagePullSecrets": [{"name": "theirs"}]}, 'imagePullSecrets[0].name="theirs" is not allowed'),
    ],
)
async def test_an_account_may_limit_its_pods_to_its_secrets(spec: Document, words: str) -> None:
    """Where its annotation says so, and only there."""
    message = await refused(pod(**spec), limited("ours"))
    assert words in message
    assert "is not allowed because service account default does not reference that" in message
    await admitted(pod(**spec), limited("theirs", imagePullSecrets=[{"name": "theirs"}]))
    await admitted(pod(**spec), account())


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"serviceAccountName": "default"}, "may not reference service accounts"),
        ({"containers": [{"name": "c", "env": ENV}]}, "may not reference secrets"),
        ({"imagePullSecrets": [{"name": "a"}]}, "may not reference secrets"),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "a"}}]}}]},
            "may not reference secrets",
        ),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "may not use ServiceAccountToken volume projections",
        ),
    ],
)
async def test_the_mirror_of_a_static_pod_reaches_no_credential(spec: Document, words: str) -> None:
    assert f"a mirror pod {words}" in await refused(pod(MIRROR, **spec))


async def test_a_mirror_stays_as_the_file_says() -> None:
    document = pod(MIRROR)
    await admitted(document)
    assert document == pod(MIRROR)
