"""What the node knows of the cluster, turned into parts of the rules and names of the DNS as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Any

from moorage.client.api import ApiClient
from moorage.client.informer import Informer, Informers
from moorage.client.objects import Document, ObjectKey, key_of
from moorage.client.resource import ENDPOINT_SLICES, NODES, POLICY_RULES, SERVICE_CIDRS, SERVICES
from moorage.resources.label_selector import matches
from moorage_agent.network.dns.zone import Zone
from moorage_agent.network.flows import Flows
from moorage_agent.network.health import HealthChecks
from moorage_agent.network.loader import Loader
from moorage_agent.network.rules import policies, services
from moorage_agent.network.rules.base import Facts
from moorage_agent.network.rules.policies import OwnPod

ZONE = "topology.kubernetes.io/zone"
SERVICE_NAME = "kubernetes.io/service-name"
API_SERVICE = ObjectKey("default", "kubernetes")
_BY_SERVICE = "service"


def _services_of(piece: Document) -> tuple[ObjectKey, ...]:
    name = (piece["metadata"].get("labels") or {}).get(SERVICE_NAME)
    return (ObjectKey(piece["metadata"]["namespace"], name),) if name else ()


class Cluster:
    """Caches of Services, their slices, policies, nodes and ranges. ``api`` is where this node reaches the API server where
    other machines do not (a loopback address), else None: pods are sent there too.
    """

    def __init__(self, client: ApiClient, node: str, api: tuple[str, int] | None) -> None:
        self._informers = Informers(client)
        self._node = node
        self._api = api
        self.services = self._informers.get(SERVICES)
        self._slices = self._informers.get(ENDPOINT_SLICES)
        self._policies = self._informers.get(POLICY_RULES)
        self.nodes = self._informers.get(NODES)
        self._ranges = self._informers.get(SERVICE_CIDRS)
        self._slices.add_index(_BY_SERVICE, _services_of)
        self.flows = Flows()
        self.checks = HealthChecks()
        self.changed = asyncio.Event()
        """Nodes or ranges changed."""
        self._loader: Loader | None = None
        self._facts: Facts | None = None
        self._pods: dict[str, OwnPod] = {}
        self._rendering = False
        self._all: tuple[Informer, ...] = (self.services, self._slices, self._policies, self.nodes, self._ranges)
        for informer in (self.nodes, self._ranges):
            informer.add_handler(self._note)

    async def run(self) -> None:
        """Follow the API until cancelled."""
        await self._informers.run()

    async def wait_known(self) -> None:
        """Return when nodes, ranges and Services are known."""
        for informer in self._all:
            await informer.wait_synced()

    def own(self) -> Document | None:
        """This node's Node."""
        return self.nodes.get("", self._node)

    def ranges(self) -> tuple[IPv4Network, ...]:
        """Where addresses of Services come from."""
        texts = [text for each in self._ranges for text in each["spec"].get("cidrs") or ()]
        networks = [ip_network(text, strict=False) for text in sorted(texts)]
        return tuple(network for network in networks if isinstance(network, IPv4Network))

    def reached(self, direct: Iterable[IPv4Address]) -> tuple[IPv4Network, ...]:
        """Pod networks of all nodes, and the addresses ``direct`` of nodes that route to our pods as we do to theirs: nothing
        on the way there is translated. Nodes beyond a tunnel know our pods only inside of it.
        """
        found = {network for node in self.nodes for network in pod_networks(node)}
        return tuple(sorted(found | {IPv4Network(address) for address in direct}))

    def beside(self, local: IPv4Address) -> list[Document]:
        """Other nodes that have the same address: they are in this network of this machine too."""
        return [
            each for each in self.nodes if each["metadata"]["name"] != self._node and internal_address(each) == local
        ]

    def zone(self) -> str:
        """The zone that this node is in, "" for none."""
        own = self.own() or {}
        return str(((own.get("metadata") or {}).get("labels") or {}).get(ZONE) or "")

    def feed(self, loader: Loader, zone: Zone) -> None:
        """From now on, keep ``loader`` (once ``use`` gave it facts) and ``zone`` as the caches are."""
        self._loader = loader

        def service(old: Document | None, new: Document | None) -> None:
            key = key_of(new or old or {})
            zone.set_service(key.namespace, key.name, new)
            self._render(key)

        def piece(old: Document | None, new: Document | None) -> None:
            for document, is_there in ((old, False), (new, True)):
                for key in _services_of(document) if document is not None else ():
                    name = document["metadata"]["name"] if document is not None else ""
                    zone.set_slice(key.namespace, key.name, name, document if is_there else None)
                    self._render(key)

        self.services.add_handler(service)
        self._slices.add_handler(piece)
        self._policies.add_handler(lambda _old, _new: self._render_policies_soon())

    def set_pod(self, uid: str, pod: OwnPod | None) -> None:
        """A pod of this node was connected (or has other labels), or is gone."""
        if pod is None:
            self._pods.pop(uid, None)
        elif self._pods.get(uid) != pod:
            self._pods[uid] = pod
        else:
            return
        self._render_policies_soon()

    def keep_pods(self, uids: Iterable[str]) -> None:
        """Forget all pods but these."""
        for uid in set(self._pods) - set(uids):
            self.set_pod(uid, None)

    def is_isolated(self, pod: OwnPod) -> bool:
        """Whether any policy is about the pod."""
        return any(
            policy["metadata"]["namespace"] == pod.namespace and matches(policy["spec"].get("podSelector"), pod.labels)
            for policy in self._policies
        )

    def use(self, facts: Facts) -> None:
        """Make all parts anew where the node's facts changed."""
        if self._facts == facts:
            return
        self._facts = facts
        for service in self.services:
            self._render(key_of(service))
        self._render_policies()

    def _render(self, key: ObjectKey) -> None:
        if self._facts is None or self._loader is None:
            return
        service = self.services.get(*key)
        if service is None:
            self._loader.put(("service", key), None)
            self.flows.put(key, {})
            self.checks.put(key, None)
            return
        pieces = self._slices.by_index(_BY_SERVICE, key)
        if key == API_SERVICE and self._api is not None:
            pieces = [_local(*self._api)]
        self._loader.put(("service", key), services.render(service, pieces, self._facts))
        self.flows.put(key, services.targets(service, pieces, self._facts))
        self.checks.put(key, services.health(service, pieces, {self._node, *self._facts.beside}))

    def _render_policies_soon(self) -> None:
        """Once for all changes that come together."""
        if not self._rendering:
            self._rendering = True
            asyncio.get_running_loop().call_soon(self._render_policies)

    def _render_policies(self) -> None:
        self._rendering = False
        if self._loader is not None and self._facts is not None:
            self._loader.put("policies", policies.render(list(self._policies), self._node, self._pods.values()))

    def _note(self, old: Document | None, new: Document | None) -> None:
        if (
            old is None
            or new is None
            or old.get("spec") != new.get("spec")
            or _place(old) != _place(new)
            or _zone(old) != _zone(new)
        ):
            self.changed.set()


def pod_networks(node: Mapping[str, Any]) -> list[IPv4Network]:
    """The node's ranges of pod addresses."""
    spec = node.get("spec") or {}
    given = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    networks = [ip_network(text, strict=False) for text in given]
    return [network for network in networks if isinstance(network, IPv4Network)]


def internal_address(node: Mapping[str, Any]) -> IPv4Address | None:
    """The node's address in the cluster's network."""
    for each in (node.get("status") or {}).get("addresses") or ():
        if each.get("type") == "InternalIP" and ":" not in each.get("address", ":"):
            return IPv4Address(each["address"])
    return None


def _place(node: Mapping[str, Any]) -> object:
    return (node.get("status") or {}).get("addresses")


def _zone(document: Mapping[str, Any]) -> object:
    return (document["metadata"].get("labels") or {}).get(ZONE)


def _local(address: str, port: int) -> Document:
    """The API's slice as this node sees it."""
    return {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
