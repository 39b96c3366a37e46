"""Makes, starts and ends the sandbox of one pod, and has it connected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from moorage.client.errors import ClientError
from moorage_agent.engine.contract import EngineError, EngineUnavailable, NameConflict, State
from moorage_agent.pods import actions, naming
from moorage_agent.pods import spec as specs
from moorage_agent.pods.namespaces import settled
from moorage_agent.pods.networking import NetworkError
from moorage_agent.pods.observed import POD

if TYPE_CHECKING:
    from moorage_agent.pods.operations import Operations
    from moorage_agent.pods.worker import PodWorker


class Sandboxes:
    """The sandboxes of one pod's worker."""

    def __init__(self, worker: PodWorker, do: Operations) -> None:
        self._worker = worker
        self._node = worker.node
        self._do = do

    async def act(self, action: actions.CreateSandbox | actions.StartSandbox | actions.StopSandbox) -> None:
        """Make and start, start, or stop the sandbox."""
        engine = self._node.engine
        if isinstance(action, actions.StopSandbox):
            await engine.stop(action.id, 1.0)
            await self._node.network.detach(self._worker.uid)
            await self._worker.refresh(action.id)
            return
        identity = ""
        try:
            async with self._node.sandbox_slots:
                if isinstance(action, actions.StartSandbox):
                    identity = action.id
                else:
                    identity = await self._create(action.attempt)
                await engine.start(identity)
                await self._connect(identity)
            await self._worker.refresh(identity)
            self._worker.failures.pop(POD, None)
        except EngineUnavailable:
            raise
        except (EngineError, NetworkError) as error:
            if identity:
                await engine.remove(identity)
                self._worker.history.drop(identity)
            message = f"Failed to create pod sandbox: {_explained(str(error))}"
            self._do.fail(POD, "FailedCreatePodSandBox", message, 30.0)
            self._worker.tell("Warning", "FailedCreatePodSandBox", message)
            return
        for old in self._worker.history.sandboxes():
            if old.container.id != identity and not old.running:
                await engine.remove(old.container.id)
                self._worker.history.drop(old.container.id)

    async def _connect(self, identity: str) -> None:
        """Give a sandbox the network that the engine did not. Raises NetworkError."""
        worker, network = self._worker, self._node.network
        if network.mode != "bridge" and not worker.pod["spec"].get("hostNetwork"):
            found = await self._node.engine.inspect(identity)
            await settled(found.pid)
            await network.attach(worker.pod, found)

    async def _create(self, attempt: int) -> str:
        worker, node = self._worker, self._node
        if attempt:
            worker.tell("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        if worker.pod["spec"].get("hostUsers") is False:
            raise NetworkError("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
        try:
            hostname = naming.kernel_name(worker.pod, node.network.resolver().domain)
        except ValueError as error:
            raise NetworkError(str(error)) from error
        spec = specs.sandbox_spec(
            worker.pod, node.identity, node.sandbox_image, attempt, hostname=hostname, network=node.network.mode
        )
        try:
            handler = await self._do.materials.handler()
        except ClientError as error:
            raise NetworkError(str(error)) from error
        if handler is None:
            raise NetworkError(f'RuntimeClass "{worker.pod["spec"]["runtimeClassName"]}" not found')
        spec = replace(spec, runtime=handler)
        try:
            return await node.engine.create(spec)
        except NameConflict:
            found = await self._do.same_named(spec.name)
            if found.state is not State.EXITED:
                return found.id
            await node.engine.remove(found.id)
            return await node.engine.create(spec)


def _explained(message: str) -> str:
    """The engine's sentence, with what to do about it where that is known."""
    if "port is already allocated" in message or "address already in use" in message:
        remedy = "a hostPort of this pod is taken by another pod or program of this machine; free it or choose another"
        return f"{remedy} ({message})"
    return message
