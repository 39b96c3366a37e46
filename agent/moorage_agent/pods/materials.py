"""Reads what a pod's volumes and environment are made of: objects, tokens, what its claims are bound to, images as volumes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from moorage.client.resource import NODES
from moorage.resources.node_selector import volume_reaches
from moorage.resources.storage import home_of
from moorage_agent.engine.contract import EngineError
from moorage_agent.images import reference
from moorage_agent.images.puller import Want, backing_off
from moorage_agent.objects import CLAIM, RUNTIME_CLASS, VOLUME, Snapshot
from moorage_agent.pods import env_files, environment
from moorage_agent.pods.observed import Failure
from moorage_agent.volumes import sources
from moorage_agent.volumes.sources import VolumeError

if TYPE_CHECKING:
    from moorage_agent.pods.worker import PodWorker

SHARED = 2.0
"""Seconds for which an object that one pod has read is good enough for another."""


class ImageFailure(VolumeError):
    """An image volume cannot be made, as its pull failed. ``failure`` is what a container with that image would show."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Materials:
    """Reads for one pod's worker."""

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self._node = worker.node
        self._pulls: dict[str, Failure] = {}
        self._exported = False
        self._told = False
        self._handler: str | None = None

    @property
    def from_elsewhere(self) -> bool:
        """Whether volumes of the pod, as far as they are known, are other machines', who may let one wait."""
        return self._exported or any(one.get("nfs") for one in self._worker.pod["spec"].get("volumes") or ())

    async def read(self, references: set[tuple[str, str]], not_before: float | None = None) -> Snapshot:
        """ConfigMaps and Secrets, no older than the pod is known here (for a retry: than a moment). Raises ClientError."""
        if not references:
            return Snapshot()
        worker = self._worker
        oldest = max(worker.seen_at, self._node.clock() - SHARED) if not_before is None else not_before
        return await self._node.objects.read(worker.pod["metadata"]["namespace"], references, oldest)

    async def handler(self) -> str | None:
        """What the pod's RuntimeClass calls the engine's runtime, "" without a class, None where its class is gone. Raises
        ClientError.
        """
        name = self._worker.pod["spec"].get("runtimeClassName")
        if not name or self._handler is not None:
            return self._handler or ""
        found = await self._node.objects.read("", {(RUNTIME_CLASS, name)}, self._node.clock() - SHARED)
        document = found.found.get((RUNTIME_CLASS, name))
        self._handler = None if document is None else str(document["handler"])
        return self._handler

    async def of_environment(self, container: Mapping[str, Any]) -> Snapshot:
        """For a container's variables. Raises ClientError, VolumeError."""
        found = await self.read(environment.references(container))
        files = environment.files(container)
        if not files:
            return found
        pod, loop = self._worker.pod, asyncio.get_running_loop()
        said = {one: await loop.run_in_executor(self._node.files, self._assignments, pod, *one) for one in files}
        return replace(found, files=said)

    def _assignments(self, pod: Mapping[str, Any], volume: str, path: str) -> env_files.Assignments | None:
        text = self._node.volumes.read_text(pod, volume, path)
        return None if text is None else env_files.parsed(text)

    async def of_files(self, not_before: float | None = None) -> Snapshot:
        """For volumes that follow their objects. Raises ClientError."""
        pod = self._worker.pod
        objects = await self.read(sources.references(pod), not_before)
        return Snapshot(objects.found, await self._node.tokens.read(pod, sources.tokens(pod)))

    async def of_volumes(self) -> Snapshot:
        """For all volumes. Raises ClientError, VolumeError."""
        files, claims, images = await asyncio.gather(self.of_files(), self._claims(), self._images())
        return Snapshot(files.found, files.tokens, claims, images)

    async def pull_secrets(self) -> list[dict[str, Any]]:
        """The Secrets that the pod names for registries, in its order; what is missing is told once. Raises ClientError."""
        named = [one["name"] for one in self._worker.pod["spec"].get("imagePullSecrets") or () if one.get("name")]
        found = await self.read({("secret", name) for name in named})
        missing = [name for name in named if found.secret(name) is None]
        if missing and not self._told:
            message = f"Unable to retrieve some image pull secrets ({', '.join(missing)}); "
            message += "attempting to pull the image may not succeed."
            self._worker.tell("Warning", "FailedToRetrieveImagePullSecret", message)
        self._told = bool(missing)
        return [dict(one) for name in named if (one := found.secret(name)) is not None]

    async def _claims(self) -> dict[str, Mapping[str, Any]]:
        """The PersistentVolume behind each volume of a claim."""
        wanted = sources.claims(self._worker.pod)
        if not wanted:
            return {}
        found = await self.read({(CLAIM, name) for name in wanted.values()}, self._node.clock())
        bound = {name: _bound(name, found.found.get((CLAIM, name)), self._worker.pod) for name in set(wanted.values())}
        self._check_alone(found, set(wanted.values()))
        volumes = await self._node.objects.read("", {(VOLUME, name) for name in bound.values()}, self._node.clock())
        self._exported = any(one is not None and one["spec"].get("nfs") for one in volumes.found.values())
        result: dict[str, Mapping[str, Any]] = {}
        for volume, claim in wanted.items():
            document = volumes.found.get((VOLUME, bound[claim]))
            if document is None:
                raise VolumeError(f'persistentvolume "{bound[claim]}" not found')
            _check_owner(document, found.found.get((CLAIM, claim)) or {})
            await self._check_reach(document)
            result[volume] = document
        return result

    async def _check_reach(self, volume: Mapping[str, Any]) -> None:
        """A volume with an affinity to nodes is used on those only, also by pods that no scheduler has seen. Folders of a node
        say themselves whose they are.
        """
        if not (volume["spec"].get("nodeAffinity") or {}).get("required") or home_of(dict(volume)):
            return
        node = await self._node.client.get(NODES, self._node.identity.owner.node)
        if not volume_reaches(volume, node):
            name = volume["metadata"]["name"]
            raise VolumeError(
                f'MountVolume.NodeAffinity check failed for volume "{name}" : no matching NodeSelectorTerms'
            )

    def _check_alone(self, found: Snapshot, names: set[str]) -> None:
        """A ReadWriteOncePod claim has one pod (KEP-2485)."""
        pod = self._worker.pod
        for name in names:
            claim = found.found.get((CLAIM, name)) or {}
            if "ReadWriteOncePod" in ((claim.get("spec") or {}).get("accessModes") or ()):
                other = self._node.claim_user(pod["metadata"]["namespace"], name, self._worker.uid)
                if other:
                    raise VolumeError(
                        f'volume uses the ReadWriteOncePod access mode and is already in use by pod "{other}"'
                    )

    async def _images(self) -> dict[str, tuple[str, ...]]:
        """The layers of each image volume."""
        wanted = {
            one["name"]: one["image"] for one in self._worker.pod["spec"].get("volumes") or () if one.get("image")
        }
        return {name: await self._layers(name, spec) for name, spec in wanted.items()}

    async def _layers(self, name: str, spec: Mapping[str, Any]) -> tuple[str, ...]:
        worker, image = self._worker, str(spec.get("reference") or "")
        latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
        policy = spec.get("pullPolicy") or ("Always" if latest and "@" not in image else "IfNotPresent")
        given = await self.pull_secrets()

        def tell(kind: str, reason: str, message: str) -> None:
            worker.tell("Warning" if kind == "Warning" else "Normal", reason, message)

        want = Want(worker.uid, image, policy)
        state = await self._node.images.ensure(want, lambda: given, self._pulls.get(name), tell)
        if state.failure is not None:
            self._pulls[name] = state.failure
            shown = backing_off(image, state.failure) if state.failure.reason == "ErrImagePull" else state.failure
            raise ImageFailure(shown)
        self._pulls.pop(name, None)
        try:
            return tuple(await self._node.engine.layers(reference.parse(image).text))
        except EngineError as error:
            raise VolumeError(f'image "{image}" cannot be mounted: {error}') from error


def _bound(name: str, claim: Mapping[str, Any] | None, pod: Mapping[str, Any]) -> str:
    """The name of the volume that a claim is bound to. Raises VolumeError."""
    if claim is None:
        raise VolumeError(f'persistentvolumeclaim "{name}" not found')
    if name not in _named(pod) and not _owned(claim, pod):
        raise VolumeError(f"PVC {pod['metadata']['namespace']}/{name} was not created for pod (pod is not owner)")
    if claim["metadata"].get("deletionTimestamp"):
        raise VolumeError(f'can\'t start pod because PVC "{name}" is being deleted')
    volume = (claim.get("spec") or {}).get("volumeName")
    if (claim.get("status") or {}).get("phase") != "Bound" or not volume:
        raise VolumeError(f'persistentvolumeclaim "{name}" is not bound')
    return str(volume)


def _check_owner(volume: Mapping[str, Any], claim: Mapping[str, Any]) -> None:
    """A volume is used by the claim that it names, by no other that names it. Raises VolumeError."""
    held = volume["spec"].get("claimRef") or {}
    if held.get("uid") != claim["metadata"].get("uid"):
        name, metadata = volume["metadata"]["name"], claim["metadata"]
        where = f"{metadata.get('namespace')}/{metadata['name']}"
        raise VolumeError(f'persistentvolume "{name}" is not bound to claim "{where}": its claimRef has another uid')


def _named(pod: Mapping[str, Any]) -> set[str]:
    """The claims that the pod names itself; those of ephemeral volumes must be its own instead."""
    volumes = pod["spec"].get("volumes") or ()
    return {one["persistentVolumeClaim"]["claimName"] for one in volumes if one.get("persistentVolumeClaim")}


def _owned(claim: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    return any(
        one.get("controller") and one.get("uid") == pod["metadata"]["uid"]
        for one in claim["metadata"].get("ownerReferences") or ()
    )
