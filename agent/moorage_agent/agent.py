"""Puts a node's parts together and runs them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from moorage import __version__
from moorage.client.api import ApiClient
from moorage.client.dial import serve_tunnel, tunnel_path
from moorage.client.events import EventRecorder
from moorage.client.informer import Informer
from moorage.client.resource import PODS
from moorage.resources.core.pods.amounts import in_units
from moorage_agent import identity, joining, threads
from moorage_agent.engine import groups, pause
from moorage_agent.engine.contract import Engine
from moorage_agent.engine.docker import DockerEngine
from moorage_agent.images.access import Access
from moorage_agent.images.collection import Collection
from moorage_agent.images.puller import Images
from moorage_agent.metrics import configuration
from moorage_agent.metrics.meters import Meters
from moorage_agent.metrics.pages import About, Pages
from moorage_agent.metrics.reading import Reader
from moorage_agent.network import making
from moorage_agent.node import document, machine
from moorage_agent.node.disk import Disk
from moorage_agent.node.guard import Guard
from moorage_agent.node.means import Means
from moorage_agent.node.registration import Registration
from moorage_agent.node.runtime import Runtime
from moorage_agent.node.usage import Meter
from moorage_agent.objects import Objects
from moorage_agent.options import AgentOptions
from moorage_agent.pods.door import Door
from moorage_agent.pods.fields import Facts
from moorage_agent.pods.fitting import Own
from moorage_agent.pods.manager import Pods
from moorage_agent.pods.networking import EngineNetwork, PodNetwork
from moorage_agent.pods.node import FILE_THREADS, Node
from moorage_agent.pods.quantities import amount
from moorage_agent.pods.spec import Identity
from moorage_agent.pods.status_writer import StatusWriter
from moorage_agent.probes.checks import Checks
from moorage_agent.static.folder import Folder
from moorage_agent.static.mirrors import Mirrors
from moorage_agent.static.pods import StaticPods
from moorage_agent.streams.commands import Commands
from moorage_agent.streams.forwarding import Forwarding
from moorage_agent.streams.logs import Logs
from moorage_agent.streams.pages import PageStreams
from moorage_agent.streams.serving import Streams
from moorage_agent.streams.statistics import Statistics
from moorage_agent.tokens import Tokens
from moorage_agent.volumes.keeping import Keeping
from moorage_agent.volumes.store import VolumeStore

log = logging.getLogger(__name__)

PODS_MOST = "110"
JOIN_FIRST, JOIN_LAST = 0.5, 15.0


class Agent:
    """One node. ``run`` works until cancelled; its pods go on."""

    def __init__(
        self, options: AgentOptions, engine: Engine | None = None, files: ThreadPoolExecutor | None = None
    ) -> None:
        """``files`` is for work on files, where several agents of one process are to share it."""
        self._options = options
        self._files = files
        self.engine: Engine = engine or DockerEngine(options.docker)
        self.pods: Pods | None = None
        self.logs: Logs | None = None
        self.streams: Streams | None = None
        self._info: dict[str, Any] = {}
        """``status.nodeInfo``; the engine's part of it is filled in when the engine first answers."""

    async def run(self) -> None:
        """Join the cluster, recover, and look after the node's pods. Raises IdentityError, JoinTokenError, OSError."""
        options = self._options
        if os.geteuid() != 0:
            log.warning(
                "the agent does not run as root: pods with memory volumes, images as volumes or subPaths will not start"
            )
        ca_pem = await self._ca()
        data = options.data_dir.resolve()
        owner, node_uid = identity.remember(data, options.node, options.cluster_uid or identity.cluster_uid(ca_pem))
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(contextlib.closing(identity.lock(owner)))
            self.engine.keep_in(groups.name_of(*owner), data / "lost.json")
            given = joining.given_by(options.token_file, options.token)
            credential = joining.Credential(data, given, joining.over_the_api(options.server, ca_pem))
            own = await credential.obtain()
            stack.push_async_callback(self.engine.close)
            client = await stack.enter_async_context(
                ApiClient(
                    options.server,
                    token=options.token if own is None else "",
                    token_file=options.token_file if own is None else own,
                    ca_pem=ca_pem,
                    user_agent=f"moorage-agent/{__version__}",
                )
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(credential.keep(), name="credential")
                group.create_task(self._serve(client, Identity(owner, node_uid), data, stack), name="node")

    async def _ca(self) -> str:
        """The CA to trust: given, or fetched and proven by the join token; a server that is not up yet is waited for."""
        options = self._options
        if options.ca_pem:
            return options.ca_pem
        if options.ca_file is not None:
            return options.ca_file.read_text(encoding="ascii")
        from moorage.client import join  # brings a cryptography library of 10 MB, which only a join needs

        text = options.token or (options.token_file.read_text(encoding="ascii") if options.token_file else "")
        delay = JOIN_FIRST
        while True:
            try:
                return await join.bootstrap_ca(options.server, text)
            except (OSError, TimeoutError) as error:
                log.warning("%s does not answer: %s; again in %.1f s", options.server, error, delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, JOIN_LAST)

    async def _serve(self, client: ApiClient, who: Identity, data: Path, stack: contextlib.AsyncExitStack) -> None:
        options, meters = self._options, Meters()
        engine = meters.timed(self.engine)
        about = self._describe(who.node_uid, data)
        network = await self._network(who, data, client)
        recorder = EventRecorder(client, "kubelet", host=options.node)
        status = StatusWriter(client)
        checks = Checks(engine)
        stack.push_async_callback(checks.close)
        pulled = Collection(engine, data / "images.json")
        node = Node(
            identity=who,
            engine=engine,
            images=Images(engine, pulled=pulled, access=Access(data / "image-access.json")),
            objects=Objects(client),
            volumes=VolumeStore(data),
            tokens=Tokens(client),
            checks=checks,
            client=client,
            recorder=meters.counted(recorder),
            status=status,
            meters=meters,
            facts=_facts(about),
            sandbox_image=pause.reference(),
            network=network,
            resolv_conf=options.resolv_conf,
            most_processes=options.most_processes,
            files=self._files or threads.pool(FILE_THREADS, "volumes"),
        )
        if self._files is None:
            stack.callback(node.files.shutdown, wait=False, cancel_futures=True)
        stack.callback(node.exports.shutdown, wait=False, cancel_futures=True)
        runtime = Runtime(engine, self._info, lambda: self.pods.unlisted() if self.pods is not None else 0.0)
        means = Means(
            data,
            images=runtime.root,
            group=groups.name_of(*who.owner),
            hard=options.eviction_hard,
            transition=options.pressure_transition,
        )
        node.unwilling = means.unwilling
        registration = Registration(
            client,
            about,
            runtime.check,
            means.reported,
            lambda: document.Network(network.ready.is_set(), network.lacks),
            recorder,
            lease_interval=options.lease_interval,
            lease_duration=options.lease_duration,
            status_interval=options.status_interval,
            health_interval=options.health_interval,
            back=status.try_again,
        )
        informer = Informer(client, PODS, fields={"spec.nodeName": options.node})
        informer.add_handler(network.follow)
        static = options.static_pods is not None
        self.pods = pods = Pods(node, informer, orphan_grace=options.orphan_grace, static=static)
        followed, mirrors = self._static(node, pods, lambda: registration.uid)
        informer.add_handler(mirrors.changed)
        own = Own(options.node, document.labels(about), (), in_units(about.capacity))
        door = Door(client, own, lambda: pods)
        node.admit = door.judge
        self.logs = Logs(engine, pods.find)
        self.streams = streams = self._streams(node, pods, self.logs, stack)
        async with asyncio.TaskGroup() as group:
            group.create_task(registration.run_status(), name="node status")
            group.create_task(registration.run_lease(), name="node lease")
            group.create_task(informer.run(), name="pod informer")
            group.create_task(recorder.run(), name="events")
            group.create_task(status.run(), name="pod status")
            group.create_task(pods.run(), name="pods")
            group.create_task(door.run(), name="door")
            group.create_task(followed.run(pods.recovered.wait), name="static pods")
            group.create_task(mirrors.run(informer.wait_synced, followed.known.wait), name="mirrors of static pods")
            guard = Guard(node, lambda: pods, means, pulled, interval=options.health_interval)
            group.create_task(guard.run(), name="guard")
            group.create_task(_serve_tunnel(client, options.node, streams), name="tunnel")
            group.create_task(network.run(), name="network")
            group.create_task(Keeping(node, lambda: pods).run(), name="volume folders")
            group.create_task(self._announce(registration, pods, network), name="ready")

    def _static(self, node: Node, pods: Pods, node_uid: Callable[[], str]) -> tuple[StaticPods, Mirrors]:
        """What runs the pods of the node's own folder, where it has one, and shows them in the API."""
        options, loop = self._options, asyncio.get_running_loop()
        about = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": options.node, "uid": options.node}}

        def complain(file: str, why: str) -> None:
            log.warning("static pod file %s: %s", file, why)
            loop.call_soon_threadsafe(node.recorder.record, about, "Warning", "InvalidStaticPod", f"{file}: {why}")

        folder = Folder(options.static_pods, options.node, node.clock, complain) if options.static_pods else None
        static = StaticPods(folder, node.files, pods.static_workers, pods.begin_static)
        static.mirrors = mirrors = Mirrors(node.client, options.node, static.running, node_uid, static.shown)

        def ended() -> None:
            static.wake()
            mirrors.wake()

        pods.on_static_end = ended
        return static, mirrors

    async def _network(self, who: Identity, data: Path, client: ApiClient) -> PodNetwork:
        options = self._options
        if options.engine_network:
            return EngineNetwork()
        return await asyncio.to_thread(
            making.make, who.owner, options.docker, data, client, options.server, options.resolv_conf
        )

    def _streams(self, node: Node, pods: Pods, logs: Logs, stack: contextlib.AsyncExitStack) -> Streams:
        commands, forwarding = Commands(self.engine, pods.find), Forwarding(self.engine, pods.find)
        stack.callback(forwarding.close)
        serve = {
            "logs": logs.serve,
            "exec": commands.serve,
            "attach": commands.serve,
            "portforward": forwarding.serve,
            "stats": Statistics(Meter(self.engine, lambda: pods)).serve,
            "page": PageStreams(self._pages(node, pods)).serve,
        }
        return Streams(serve)

    def _pages(self, node: Node, pods: Pods) -> Pages:
        """What the node tells those who measure."""
        capacity = {"cpu": node.facts.cpu, "memory": float(node.facts.memory)}
        about = About(self._options.node, self._options.data_dir, capacity, configuration.told(self._options))
        reader = Reader(node.engine, lambda: pods)
        disk = Disk(node.engine, node.volumes, node.files)
        return Pages(about, node.meters, reader, lambda: pods, disk.of, lambda: self._info)

    def _describe(self, node_uid: str, data: Path) -> document.Description:
        options = self._options
        capacity = {
            "cpu": str(os.cpu_count() or 1),
            "memory": f"{machine.memory()['MemTotal'] // 1024}Ki",
            "ephemeral-storage": f"{machine.storage(data) // 1024}Ki",
            "pods": PODS_MOST,
            **machine.huge_pages(),
            **options.capacity,
        }
        self._info = {
            "machineID": machine.machine_id(),
            "systemUUID": node_uid,
            "bootID": machine.boot_id(),
            "kernelVersion": platform.release(),
            "osImage": machine.os_image(),
            "containerRuntimeVersion": "docker://unknown",
            "kubeletVersion": f"v1.36.0+moorage.{__version__}",
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": machine.architecture(),
        }
        address = options.address or machine.address()
        return document.Description(options.node, options.labels, machine.architecture(), address, capacity, self._info)

    async def _announce(self, registration: Registration, pods: Pods, network: PodNetwork) -> None:
        await registration.registered.wait()
        await network.ready.wait()
        registration.check_soon()
        await pods.connected.wait()
        log.info("node %s is ready", self._options.node)
        if self._options.on_ready is not None:
            self._options.on_ready()


async def _serve_tunnel(client: ApiClient, node: str, streams: Streams) -> None:
    await serve_tunnel(lambda: client.websocket(tunnel_path(node)), streams.serve)


def _facts(about: document.Description) -> Facts:
    return Facts(
        node=about.name,
        host_ip=about.address,
        cpu=amount(about.capacity["cpu"]),
        memory=int(amount(about.capacity["memory"])),
        storage=int(amount(about.capacity["ephemeral-storage"])),
    )
