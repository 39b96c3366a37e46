"""Image names, pull policies and failed pulls. No registry is in reach, which is what most of these need."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from moorage.client.resource import SECRETS
from tests.integration.agent.rig import NAMESPACE, Rig
from tests.support.docker import docker
from tests.support.registry import registry

pytestmark = pytest.mark.docker

NOWHERE = "127.0.0.1:9/no/image:1"


async def test_an_image_that_is_never_pulled_must_be_here(rig: Rig) -> None:
    await rig.run("never", image=NOWHERE, imagePullPolicy="Never")
    pod = await rig.until(
        "never", lambda s: s["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImageNeverPull"
    )
    message = f'Container image "{NOWHERE}" is not present with pull policy of Never'
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == message
    assert await rig.event("never", "ErrImageNeverPull") == message


async def test_a_name_that_is_none_is_told(rig: Rig) -> None:
    await rig.run("wrong", image="Not/An:Image:Name")
    pod = await rig.until(
        "wrong", lambda s: s["containerStatuses"][0]["state"]["waiting"]["reason"] == "InvalidImageName"
    )
    assert "Failed to apply default image tag" in pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    await rig.event("wrong", "InspectFailed")


async def test_a_failed_pull_backs_off_and_does_not_hold_up_the_end(rig: Rig) -> None:
    await rig.run("absent", image=NOWHERE)
    await rig.until("absent", lambda s: s["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull")
    pod = await rig.until(
        "absent", lambda s: s["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    )
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"].startswith(
        f'Back-off pulling image "{NOWHERE}"'
    )
    await rig.event("absent", "Pulling", f'Pulling image "{NOWHERE}"')
    await rig.event("absent", "Failed", "Failed to pull image")
    await rig.event("absent", "Failed", "Error: ErrImagePull")
    await rig.event("absent", "BackOff", f'Back-off pulling image "{NOWHERE}"')
    await rig.delete("absent")


async def test_a_private_image_is_for_those_who_have_its_password(rig: Rig) -> None:
    with registry(shop="right") as private:
        image = f"{private.address}/shop/web:1"
        digest = private.make(marker=rig.cluster)
        for name, password in (("good", "right"), ("bad", "wrong")):
            secret = private.secret(name, "shop", password)
            await rig.client.create(SECRETS, {**secret, "metadata": {"name": name, "namespace": NAMESPACE}})

        async def asks(name: str, *secrets: str, **fields: Any) -> None:
            references = [{"name": one} for one in secrets]
            container = rig.container(**{"image": image, **fields})
            await rig.run(name, {"imagePullSecrets": references, "containers": [container]})

        async def refused(name: str) -> None:
            await rig.event(name, "Failed", "Error: ErrImagePull")
            pod = await rig.get(name)
            assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] in {
                "ErrImagePull",
                "ImagePullBackOff",
            }

        await asks("without")
        await asks("wrong", "bad", "missing")
        await refused("without")
        await refused("wrong")
        told = await rig.event("wrong", "FailedToRetrieveImagePullSecret")
        assert (
            told
            == "Unable to retrieve some image pull secrets (missing); attempting to pull the image may not succeed."
        )
        assert private.pulls == 0
        await asks("right", "bad", "good")
        pod = await rig.running("right")
        status = pod["status"]["containerStatuses"][0]
        assert status["imageID"] == f"docker-pullable://{private.address}/shop/web@{digest}"
        assert "including waiting). Image size: " in await rig.event("right", "Pulled", "Successfully pulled image")
        # It is here now, but not for everybody: only for those who could have fetched it (KEP-2535).
        pulls = private.pulls
        await asks("again", "good")
        await rig.running("again")
        assert private.pulls == pulls
        await asks("others")
        await refused("others")
        await asks("never", imagePullPolicy="Never")
        await rig.event("never", "Failed", "Error: ErrImageNeverPull")
        await asks("by-digest", "good", image=f"{private.address}/shop/web@{digest}")
        await rig.running("by-digest")
        await asks("always", "good", imagePullPolicy="Always")
        await rig.running("always")
        assert private.pulls > pulls
        await asyncio.gather(*(rig.delete(name, 0) for name in ("right", "again", "by-digest", "always")))
    docker("rmi", "-f", docker("images", "-q", image))


async def test_an_image_that_is_always_pulled_does_not_run_from_here(rig: Rig) -> None:
    await rig.run("always", imagePullPolicy="Always", image="127.0.0.1:9/busybox:1")
    await rig.event("always", "Failed", "Error: ErrImagePull")
