"""Image names, pull policies and failed pulls. No registry is in reach, which is what most of these need."""

from __future__ import annotations

import pytest

from tests.integration.agent.rig import Rig

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


async def test_an_image_that_is_always_pulled_does_not_run_from_here(rig: Rig) -> None:
    await rig.run("always", imagePullPolicy="Always", image="127.0.0.1:9/busybox:1")
    await rig.event("always", "Failed", "Error: ErrImagePull")
