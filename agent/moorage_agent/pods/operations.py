"""Does what the planner asked for, one method for each action. Makes no choices but how to tell a failure."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from moorage.client.errors import ClientError, Conflict, NotFound
from moorage.client.resource import PODS
from moorage_agent.engine.contract import (
    Container,
    EngineError,
    EngineUnavailable,
    Limits,
    LogOptions,
    NameConflict,
    NoSuchContainer,
    NoSuchImage,
    State,
)
from moorage_agent.images import reference
from moorage_agent.images.puller import Want, backing_off
from moorage_agent.pods import actions, confinement, ending, environment, hooks, naming, redaction
from moorage_agent.pods import labels as names
from moorage_agent.pods import spec as specs
from moorage_agent.pods.materials import ImageFailure, Materials
from moorage_agent.pods.observed import VOLUMES, Attempt, Failure, ImageState, attempt_of, every_container
from moorage_agent.pods.sandboxes import Sandboxes
from moorage_agent.volumes import host_files, sources
from moorage_agent.waiting import happened

if TYPE_CHECKING:
    from moorage_agent.pods.worker import PodWorker

log = logging.getLogger(__name__)

T = TypeVar("T")

OOM_SCORES = ("oom_score_adj", "can't get final child's PID from pipe: EOF")
"""Parts of an engine's sentence where the kernel refuses a score: runc writes it before all else, and only its log says so."""
FINALIZERS = 10.0
"""Seconds after which an object that still exists is deleted again."""
LOG_TAIL, LOG_BYTES = 80, 2048
"""Lines, and bytes at most, of log that stand in for a missing termination message (``FallbackToLogsOnError``)."""


def retry_delay(tries: int, most: float) -> float:
    """Seconds to wait after the ``tries``-th failure in a row: 1, 2, 4 ... ``most``."""
    return float(min(2.0 ** min(tries - 1, 10), most))


class Operations:
    """The hands of one pod's worker."""

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self._node = worker.node
        self.materials = Materials(worker)
        self._sandboxes = Sandboxes(worker, self)
        self._told: set[str] = set()

    async def sandbox(self, action: actions.CreateSandbox | actions.StartSandbox | actions.StopSandbox) -> None:
        """Make and start, start, or stop the sandbox."""
        await self._sandboxes.act(action)

    async def same_named(self, name: str) -> Container:
        """The container that has our name already: made by a call of ours whose answer we never saw."""
        found = await self._node.engine.inspect(name)
        if found.labels.get(names.POD_UID) != self._worker.uid:
            raise EngineError(f"the container name {name} is taken by a container that is not this pod's")
        return found

    async def prepare_volumes(self) -> None:
        """Make the pod's volumes ready."""
        worker = self._worker
        try:
            found = await self.materials.of_volumes()
            facts = self._node.facts._replace(pod_ip=worker.pod_ip())
            await self._blocking(self._node.volumes.prepare, worker.pod, found, facts)
        except ClientError as error:
            self.fail(VOLUMES, "FailedMount", str(error), 10.0)
        except ImageFailure as error:
            worker.failures[VOLUMES] = error.failure
        except (sources.VolumeError, OSError) as error:
            words = _of_system(error)
            self.fail(VOLUMES, "FailedMount", words, 10.0)
            worker.tell("Warning", "FailedMount", words)
        else:
            worker.failures.pop(VOLUMES, None)
            worker.volumes_ready = True

    async def refresh_volumes(self, not_before: float) -> None:
        """Bring volumes of files up to date with their objects."""
        worker = self._worker
        if not worker.volumes_ready or worker.termination is not None:
            return
        found = await self.materials.of_files(not_before)
        facts = self._node.facts._replace(pod_ip=worker.pod_ip())
        await self._blocking(self._node.volumes.refresh, worker.pod, found, facts)

    async def fetch_image(self, name: str) -> ImageState:
        """Have a container's image."""
        worker = self._worker
        container = worker.container(name)
        before = worker.failures.get(f"image {name}")
        given = await self.materials.pull_secrets()
        want = Want(worker.uid, container.get("image", ""), container.get("imagePullPolicy") or "IfNotPresent")

        def tell(kind: str, reason: str, message: str) -> None:
            worker.tell("Warning" if kind == "Warning" else "Normal", reason, message, name)

        state = await self._node.images.ensure(want, lambda: given, before, tell)
        if state.failure is None:
            worker.failures.pop(f"image {name}", None)
            return state
        worker.failures[f"image {name}"] = state.failure
        if state.failure.reason == "ErrImagePull":
            waiting = backing_off(want.image, state.failure)
            asyncio.get_running_loop().call_later(1.0, self._show_back_off, name, state, waiting)
        return state

    def _show_back_off(self, name: str, state: ImageState, waiting: Failure) -> None:
        """A failed pull is ErrImagePull for a moment, then ImagePullBackOff until it is tried again."""
        worker = self._worker
        if worker.images.get(name) is state and worker.termination is None:
            worker.images[name] = ImageState(failure=waiting)
            image = worker.container(name).get("image", "")
            worker.tell("Normal", "BackOff", f'Back-off pulling image "{image}"', name)
            worker.tell("Warning", "Failed", "Error: ImagePullBackOff", name)
            worker.wake()

    async def start(self, name: str, attempt: int, sandbox: str, backoff: float) -> None:
        """Create and start a container."""
        worker, engine = self._worker, self._node.engine
        try:
            spec = await self._container_spec(name, attempt, sandbox, backoff)
        except (environment.ConfigError, sources.VolumeError, ValueError, OSError) as error:
            self._container_failed(name, "CreateContainerConfigError", _of_system(error))
            return
        except ClientError as error:
            self.fail(name, "CreateContainerConfigError", str(error), 10.0)
            return
        except EngineUnavailable:
            raise
        except EngineError as error:
            self._container_failed(name, "CreateContainerError", str(error))
            return
        async with self._node.container_slots:
            try:
                identity = await engine.create(spec)
                worker.tell("Normal", "Created", f"Created container: {name}", name)
            except NameConflict:
                found = await self.same_named(spec.name)
                if found.state is not State.CREATED:  # it runs or ran: not to be started a second time
                    worker.history.put(found)
                    return
                identity = found.id
            except NoSuchImage:
                self._node.images.forget(reference.parse(worker.container(name)["image"]).text)
                worker.images.pop(name, None)
                return
            except NoSuchContainer:
                await worker.refresh(sandbox)
                return
            except EngineUnavailable:
                raise
            except EngineError as error:
                self._container_failed(name, "CreateContainerError", redaction.told(str(error), worker.container(name)))
                return
            worker.failures.pop(name, None)
            worker.images.pop(name, None)
            await self._start(name, identity)
        await self._post_start(name, identity)

    async def resume(self, name: str, identity: str) -> None:
        """Start a container that was left created by an agent or engine that died."""
        async with self._node.container_slots:
            await self._start(name, identity)
        await self._post_start(name, identity)

    async def _start(self, name: str, identity: str) -> None:
        worker = self._worker
        if (worker.container(name).get("lifecycle") or {}).get("postStart"):
            worker.starting.add(name)
        try:
            await self._node.engine.start(identity)
            worker.tell("Normal", "Started", f"Started container {name}", name)
        except EngineUnavailable:
            raise
        except EngineError as error:
            if any(part in str(error) for part in OOM_SCORES) and self._node.least_oom_score < 0:
                await self._give_up_scores(name, identity)
                raise
            words = redaction.told(str(error), worker.container(name))
            worker.tell(
                "Warning", "Failed", f"Error: failed to start container {name!r}: {words}".replace("'", '"'), name
            )
        await self.ended(identity)
        known = worker.history.get(identity)
        if known is not None and known.dangling:
            raise EngineError(f"container {name} was not started")

    async def _give_up_scores(self, name: str, identity: str) -> None:
        """The engine may not lower OOM scores: do without, and make the container anew."""
        log.warning("the engine may not lower OOM scores (no CAP_SYS_RESOURCE); Guaranteed pods get 0 from now on")
        self._node.least_oom_score = 0
        await self.remove(identity)
        self._worker.wake()

    async def _post_start(self, name: str, identity: str) -> None:
        worker = self._worker
        hook = (worker.container(name).get("lifecycle") or {}).get("postStart")
        known = worker.history.get(identity)
        if not hook or known is None or not known.running:
            return
        worker.interruptible(name, True)
        try:
            fine = await hooks.run(self._node.checks, hook, hooks.target(worker, name, identity), None)
        finally:
            worker.starting.discard(name)
        worker.interruptible(name, False)
        if not fine:
            worker.tell("Warning", "FailedPostStartHook", "PostStartHook failed", name)
            await ending.end(worker, name, identity, None, "FailedPostStartHook")
            await self.ended(identity)

    async def resize(self, name: str, identity: str, limits: Limits) -> None:
        """Give a running container other limits, unless it uses more memory than it would have."""
        engine, worker = self._node.engine, self._worker
        try:
            if limits.memory:
                used = (await engine.usage(identity)).memory
                if used >= limits.memory:
                    raise EngineError(
                        f"attempting to set container {name} memory limit ({limits.memory}) below current usage ({used})"
                    )
            await engine.update(identity, limits)
            worker.failures.pop(f"resize {name}", None)
            worker.tell("Normal", "ResizeCompleted", f"Container {name} was resized", name)
        except EngineUnavailable:
            raise
        except EngineError as error:
            self.fail(f"resize {name}", "Error", str(error), 10.0)
            worker.tell("Warning", "ResizeError", str(error), name)
        await worker.refresh(identity)

    async def kill(self, action: actions.Kill) -> None:
        """End a container, its preStop hook first."""
        await ending.end(self._worker, action.name, action.id, action.grace, action.message, action.after)
        await self.ended(action.id)

    async def ended(self, identity: str) -> None:
        """A container may have ended: look at it, and where it failed and left no message, keep the end of its log as one, if
        its spec says so.
        """
        try:
            found = await self._node.engine.inspect(identity)
            attempt = attempt_of(found)
            if attempt is not None and attempt.ended and found.exit_code != 0:
                await self._take_message(attempt)
            self._worker.history.put(found)
        except NoSuchContainer:
            self._worker.history.drop(identity)
        self._worker.wake()

    async def _take_message(self, attempt: Attempt) -> None:
        worker, volumes = self._worker, self._node.volumes
        spec = next((one for one in every_container(worker.pod) if one["name"] == attempt.name), {})
        if spec.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return
        if attempt.container.error or volumes.message(worker.uid, attempt.name, attempt.attempt):
            return
        options = LogOptions(tail=LOG_TAIL, tty=bool(spec.get("tty")))
        text = b"".join([chunk async for chunk in self._node.engine.logs(attempt.container.id, options)])
        await self._blocking(volumes.leave_message, worker.uid, attempt.name, attempt.attempt, text[-LOG_BYTES:])

    async def remove(self, identity: str) -> None:
        """Remove an ended container."""
        await self._node.engine.remove(identity)
        self._worker.history.drop(identity)

    async def clean_up(self, whole: bool) -> None:
        """Remove what is left of the pod: its volumes and, where ``whole``, every container of it that the engine knows."""
        worker, engine = self._worker, self._node.engine
        if whole:
            found = await engine.list({**self._node.identity.owner.labels(), names.POD_UID: worker.uid})
            last = [one.id for one in found if one.labels.get(names.CONTAINER) == names.SANDBOX_NAME]
            await asyncio.gather(*(engine.remove(one.id) for one in found if one.id not in last))
            await asyncio.gather(*(engine.remove(identity) for identity in last))
            for identity in worker.history.ids():
                worker.history.drop(identity)
            await self._node.network.detach(worker.uid)
        await self._blocking(functools.partial(self._node.volumes.remove, worker.uid, keep_messages=not whole))
        self._node.tokens.forget(worker.uid)
        worker.volumes_ready = False
        worker.cleaned = whole

    async def finish(self) -> None:
        """Tell the API that nothing of the pod runs any more: remove the object (this uid only)."""
        worker = self._worker
        metadata = worker.pod["metadata"]
        await self._node.status.settled(5.0)
        if worker.digest:  # its mirror is removed by who made it (``moorage_agent.static.mirrors``)
            worker.vanish()
            return
        try:
            await self._node.client.delete(
                PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"], grace_seconds=0
            )
        except (NotFound, Conflict):
            worker.vanish()
            return
        except ClientError as error:
            raise EngineError(f"the API did not take the end of the pod: {error}") from error
        if not worker.gone:  # the watch says when; finalizers may keep the object for long
            await happened(worker.termination_changed, FINALIZERS)

    async def _container_spec(self, name: str, attempt: int, sandbox: str, backoff: float) -> Any:
        worker, node = self._worker, self._node
        container = worker.container(name)
        found = await self.materials.of_environment(container)
        facts = node.facts._replace(pod_ip=worker.pod_ip())
        domain = node.network.resolver().domain
        links = worker.pod["spec"].get("enableServiceLinks") is not False
        services = node.network.service_variables(worker.pod["metadata"]["namespace"], links)
        variables = environment.environment(worker.pod, container, found, facts, services)
        on_host = worker.pod["spec"].get("hostNetwork")
        variables = {
            "HOSTNAME": socket.gethostname() if on_host else naming.kernel_name(worker.pod, domain),
            **variables,
        }
        options = await self._blocking(confinement.options, worker.pod, container, node.volumes.profiles.read)
        for message in await self._blocking(self._write_names, facts.pod_ip):
            if message not in self._told:
                self._told.add(message)
                worker.tell("Warning", "DNSConfigForming", message)
        mounts = await self._blocking(node.volumes.mounts_of, worker.pod, container, attempt, variables)
        await self._tell_excess(container, attempt, variables)
        named = reference.parse(container["image"])
        image = await node.images.find(named.text)
        spec = specs.container_spec(
            worker.pod,
            container,
            node.identity,
            attempt=attempt,
            sandbox=sandbox,
            backoff=backoff,
            variables=variables,
            mounts=mounts,
            image=named.text,
            image_user=image.user if image else "",
            node_memory=node.facts.memory,
            most_processes=node.most_processes,
            target=self._target_container(container),
            options=options,
            least_oom_score=node.least_oom_score,
        )
        return replace(spec, runtime=await self.materials.handler() or "")

    async def _tell_excess(self, container: Mapping[str, Any], attempt: int, variables: Mapping[str, str]) -> None:
        """Say beforehand why a program will not start: nothing of it lives to say so."""
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        text = environment.excess(environment.arguments(words, variables) or (), variables)
        if text:
            worker, name = self._worker, container["name"]
            worker.tell("Warning", "Failed", f"Error: {text}", name)
            leave = self._node.volumes.leave_message
            await self._blocking(leave, worker.uid, name, attempt, text.encode())

    def _target_container(self, container: Mapping[str, Any]) -> str:
        """The running container whose processes an ephemeral one is to see. Raises ConfigError where it does not run."""
        name = container.get("targetContainerName")
        if not name:
            return ""
        starts = self._worker.history.attempts().get(name, ())
        if not starts or not starts[-1].running:
            raise environment.ConfigError(f"target container {name} is not running")
        return starts[-1].container.id

    def _write_names(self, address: str) -> list[str]:
        """``/etc/hosts`` and ``resolv.conf`` of the pod, for its present address. Blocking. Returns what to tell of them."""
        pod, cluster = self._worker.pod, self._node.network.resolver()
        of_host = naming.parsed(host_files.resolv_conf(self._node.resolv_conf))
        hosts = naming.hosts_file(pod, address, cluster.domain, host_files.hosts())
        resolver, told = naming.fitted(naming.resolver(pod, cluster, of_host))
        self._node.volumes.write_names(pod, hosts, resolver.text())
        return told

    async def _blocking(self, work: Callable[..., T], *arguments: Any) -> T:
        pool = self._node.exports if self.materials.from_elsewhere else self._node.files
        return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)

    def _container_failed(self, name: str, reason: str, message: str) -> None:
        self.fail(name, reason, message, 10.0)
        self._worker.tell("Warning", "Failed", f"Error: {message}", name)

    def fail(self, name: str, reason: str, message: str, most: float) -> None:
        """Something did not work: it is shown, and tried again after a growing while of ``most`` seconds at the most."""
        before = self._worker.failures.get(name)
        tries = before.tries + 1 if before is not None else 1
        at = self._node.clock() + retry_delay(tries, most)
        self._worker.failures[name] = Failure(reason, message, at, tries)


def _of_system(error: Exception) -> str:
    """An error as its pod is told: of one of the machine's, only what it was, as paths of the machine are nobody's business."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
