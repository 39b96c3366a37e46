"""Makes sure that a container's image is on the machine, by its pull policy.

Pulls of the same image with the same credentials are one pull; failures back off per container, 10 s doubled up to
300 s. Reasons and messages are the kubelet's (``pkg/kubelet/images``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from moorage_agent.engine.contract import Credentials, Engine, EngineError, EngineUnavailable, Image, PullError
from moorage_agent.images import credentials as registry_credentials
from moorage_agent.images import reference
from moorage_agent.images.access import Access
from moorage_agent.images.collection import Collection
from moorage_agent.pods.observed import Failure, ImageState

FIRST = 10.0
LONGEST = 300.0
FRESH = 10.0
"""Seconds for which a look-up of an image stands; a container that finds its image gone after all forgets it at once."""

Tell = Callable[[str, str, str], None]
"""Gets an event: type, reason, message."""


class Want(NamedTuple):
    """One container's image: ``pod`` is the pod's uid, ``secrets`` its pull credentials' source."""

    pod: str
    image: str
    policy: str


class Images:
    """The images of one engine."""

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float] = time.time,
        pulled: Collection | None = None,
        access: Access | None = None,
    ) -> None:
        self._pulled = pulled
        self._access = access or Access()
        self._engine = engine
        self._clock = clock
        self._known: dict[str, tuple[float, Image]] = {}
        self._digests: dict[str, str] = {}
        self._pulls: dict[tuple[str, tuple[Credentials, ...]], asyncio.Task[Credentials | None]] = {}

    async def find(self, text: str) -> Image | None:
        """The image, if it is here; a recent answer is used again."""
        known = self._known.get(text)
        if known is not None and self._clock() - known[0] < FRESH:
            return known[1]
        image = await self._engine.image(text)
        if image is None:
            self._known.pop(text, None)
            return None
        self._known[text] = (self._clock(), image)
        self._digests[image.id] = image.digest
        return image

    def forget(self, text: str) -> None:
        """The engine says that the image is gone."""
        self._known.pop(text, None)

    def digest(self, image_id: str) -> str:
        """``NAME@sha256:...`` of an image seen before, or ""."""
        return self._digests.get(image_id, "")

    async def ensure(
        self, want: Want, secrets: Callable[[], Sequence[dict[str, object]]], before: Failure | None, tell: Tell
    ) -> ImageState:
        """Have the image, or say why not. ``before`` is the last failure of this container's image."""
        try:
            named = reference.parse(want.image)
        except ValueError as error:
            message = (
                f'Failed to apply default image tag "{want.image}": couldn\'t parse image name "{want.image}": {error}'
            )
            tell("Warning", "InspectFailed", message)
            tell("Warning", "Failed", "Error: InvalidImageName")
            return self._failed("InvalidImageName", message, before)
        given = registry_credentials.choose(named.domain, secrets())
        try:
            image = await self.find(named.text)
            if want.policy != "Always" and image is not None and self._access.may(image.id, given):
                tell("Normal", "Pulled", f'Container image "{want.image}" already present on machine')
                return ImageState(True, image.id)
            if want.policy == "Never":
                message = f'Container image "{want.image}" is not present with pull policy of Never'
                tell("Warning", "ErrImageNeverPull", message)
                tell("Warning", "Failed", "Error: ErrImageNeverPull")
                return self._failed("ErrImageNeverPull", message, before)
            return await self._pull(want, named, given, tell)
        except PullError as error:
            tell("Warning", "Failed", f'Failed to pull image "{want.image}": {error}')
            tell("Warning", "Failed", "Error: ErrImagePull")
            return self._failed("ErrImagePull", f'failed to pull image "{want.image}": {error}', before)
        except EngineUnavailable as error:
            return ImageState(failure=Failure("ImageInspectError", str(error), self._clock() + 2.0))
        except EngineError as error:
            message = f'Failed to inspect image "{want.image}": {error}'
            tell("Warning", "InspectFailed", message)
            tell("Warning", "Failed", "Error: ImageInspectError")
            return self._failed("ImageInspectError", message, before)

    async def _pull(
        self, want: Want, named: reference.Reference, given: Sequence[Credentials], tell: Tell
    ) -> ImageState:
        tell("Normal", "Pulling", f'Pulling image "{want.image}"')
        start = time.monotonic()
        key = (named.text, tuple(given))
        task = self._pulls.get(key)
        if task is None:
            task = self._pulls[key] = asyncio.create_task(self._fetch(named, given), name=f"pull {named.text}")
            task.add_done_callback(lambda done: self._ended(key, done))
        begun = time.monotonic()
        used = await asyncio.shield(task)
        if self._pulled is not None:
            self._pulled.add(named.text)
        self.forget(named.text)
        image = await self.find(named.text)
        if image is None:
            raise PullError(f"image {named.text} is not there after its pull")
        self._access.fetched(image.id, used)
        took, waited = time.monotonic() - begun, time.monotonic() - start
        tell(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{want.image}" in {_duration(took)} ({_duration(waited)} including waiting). '
            f"Image size: {image.size} bytes.",
        )
        return ImageState(True, image.id)

    async def _fetch(self, named: reference.Reference, given: Sequence[Credentials]) -> Credentials | None:
        """Fetch the image with the first of the pod's credentials that opens it (returned), else with the machine's own."""
        last: PullError | None = None
        for one in given:
            try:
                await self._engine.pull(named.text, [one])
            except PullError as error:
                last = error
            else:
                return one
        of_machine = await registry_credentials.of_machine(named.domain)
        if last is not None and not of_machine:
            raise last
        await self._engine.pull(named.text, of_machine)
        return None

    def _ended(self, key: tuple[str, tuple[Credentials, ...]], task: asyncio.Task[Credentials | None]) -> None:
        self._pulls.pop(key, None)
        if not task.cancelled():
            task.exception()  # each of those who wait gets it; with none left it is not an error of the loop

    def _failed(self, reason: str, message: str, before: Failure | None) -> ImageState:
        tries = before.tries + 1 if before is not None else 1
        return ImageState(failure=Failure(reason, message, self._clock() + pull_delay(tries), tries))


def pull_delay(tries: int) -> float:
    """Seconds to wait after the ``tries``-th failure in a row."""
    return float(min(FIRST * 2.0 ** min(tries - 1, 10), LONGEST))


def backing_off(image: str, failure: Failure) -> Failure:
    """What a failed pull turns into while its back-off lasts."""
    return failure._replace(
        reason="ImagePullBackOff", message=f'Back-off pulling image "{image}": ErrImagePull: {failure.message}'
    )


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.3f}s"
