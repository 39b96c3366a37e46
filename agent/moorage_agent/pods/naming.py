"""Under which names a pod knows itself and finds others: its host name, its ``/etc/hosts`` and its ``resolv.conf``. Pure.

Source: "DNS for Services and Pods"; the kubelet's ``kubelet_pods.go`` (hosts file) and ``network/dns/dns.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from moorage_agent.pods.networking import Resolver

Pod = Mapping[str, Any]

HOSTNAME_LIMIT = 63
FQDN_LIMIT = 64
"""What the kernel takes as a host name (sethostname(2))."""
MOST_SERVERS, MOST_SEARCHES, LONGEST_SEARCHES = 3, 32, 2048

_HOSTS = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_HOST_NETWORK = "# Kubernetes-managed hosts file (host network).\n"


class Configuration(NamedTuple):
    """The contents of a ``resolv.conf``."""

    servers: Sequence[str] = ()
    searches: Sequence[str] = ()
    options: Sequence[str] = ()

    def text(self) -> str:
        """As a file."""
        lines = [f"nameserver {server}" for server in self.servers]
        if self.searches:
            lines.insert(0, f"search {' '.join(self.searches)}")
        if self.options:
            lines.append(f"options {' '.join(self.options)}")
        return "".join(f"{line}\n" for line in lines)


def parsed(text: str) -> Configuration:
    """Read a ``resolv.conf`` (resolv.conf(5): the last ``search`` or ``domain`` counts)."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = words[1:]
        elif words[0] == "options":
            options += words[1:]
    return Configuration(servers, searches, options)


def hostname(pod: Pod) -> str:
    """The pod's short host name."""
    spec = pod["spec"]
    name = str(spec.get("hostnameOverride") or spec.get("hostname") or pod["metadata"]["name"])
    return name[: FQDN_LIMIT if spec.get("hostnameOverride") else HOSTNAME_LIMIT].rstrip("-.")


def full_name(pod: Pod, domain: str) -> str:
    """``hostname.subdomain.namespace.svc.domain``; "" for a pod without a subdomain."""
    subdomain = pod["spec"].get("subdomain")
    if not subdomain or pod["spec"].get("hostnameOverride"):
        return ""
    return f"{hostname(pod)}.{subdomain}.{pod['metadata']['namespace']}.svc.{domain}"


def kernel_name(pod: Pod, domain: str) -> str:
    """What ``hostname`` prints in the pod. Raises ValueError where the whole name is asked for and does not fit."""
    whole = full_name(pod, domain)
    if not pod["spec"].get("setHostnameAsFQDN") or not whole:
        return hostname(pod)
    if len(whole) > FQDN_LIMIT:
        raise ValueError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {whole} is too long "
            f"({FQDN_LIMIT} characters is the max, {len(whole)} characters requested)"
        )
    return whole


def hosts_file(pod: Pod, address: str, domain: str, of_host: str) -> str:
    """``/etc/hosts`` of the pod's containers. ``of_host`` is the node's own, for pods in its network."""
    if pod["spec"].get("hostNetwork"):
        text = _HOST_NETWORK + of_host
        text += "" if text.endswith("\n") else "\n"
    else:
        whole = full_name(pod, domain)
        names = f"{whole}\t{hostname(pod)}" if whole else hostname(pod)
        text = _HOSTS + (f"{address}\t{names}\n" if address else "")
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join("\t".join([alias["ip"], *(alias.get("hostnames") or ())]) + "\n" for alias in aliases)
    return text


def resolver(pod: Pod, cluster: Resolver, of_host: Configuration) -> Configuration:
    """What ``dnsPolicy`` and ``dnsConfig`` ask for. Without a cluster DNS, ClusterFirst is the node's, as in Kubernetes."""
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    in_cluster = policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork"))
    if policy == "None":
        base = Configuration()
    elif in_cluster and cluster.servers:
        namespace = pod["metadata"]["namespace"]
        searches = [f"{namespace}.svc.{cluster.domain}", f"svc.{cluster.domain}", cluster.domain]
        base = Configuration(cluster.servers, [*searches, *of_host.searches], ["ndots:5"])
    else:
        base = of_host if spec.get("hostNetwork") else _reachable(of_host)
    config = spec.get("dnsConfig") or {}
    return Configuration(
        _unique([*base.servers, *(config.get("nameservers") or ())]),
        _unique([*base.searches, *(config.get("searches") or ())]),
        _options(base.options, config.get("options") or ()),
    )


def fitted(wanted: Configuration) -> tuple[Configuration, list[str]]:
    """What of a configuration a C library takes, and what is told of the rest."""
    found = Configuration(wanted.servers[:MOST_SERVERS], _fitting(wanted.searches), wanted.options)
    told = []
    if found.servers != wanted.servers:
        told.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            f"the applied nameserver line is: {' '.join(found.servers)}"
        )
    if found.searches != wanted.searches:
        told.append(
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(found.searches)}"
        )
    return found, told


def _reachable(of_host: Configuration) -> Configuration:
    """Without resolvers on the node's loopback address, which a pod does not reach."""
    return of_host._replace(servers=[one for one in of_host.servers if not one.startswith("127.") and one != "::1"])


def _options(base: Iterable[str], wanted: Iterable[Mapping[str, Any]]) -> list[str]:
    """The options, later ones of one name in place of earlier ones."""
    found = {text.partition(":")[0]: text for text in base}
    for one in wanted:
        found[one["name"]] = f"{one['name']}:{one['value']}" if one.get("value") is not None else one["name"]
    return list(found.values())


def _unique(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _fitting(searches: Sequence[str]) -> list[str]:
    found: list[str] = []
    for search in searches[:MOST_SEARCHES]:
        if sum(len(one) + 1 for one in found) + len(search) > LONGEST_SEARCHES:
            break
        found.append(search)
    return found
