"""ResourceQuotas: they count what lives, refuse what is too much, and say what is used."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.resources import quantity
from tests.conformance.workloads import nowhere, pod, replicaset, replication_controller
from tests.support.kubectl import Kubectl
from tests.support.rest import STRATEGIC, Document, Rest
from tests.support.wait import NotYet, until

pytestmark = pytest.mark.docker

HARD = {
    "pods": "5",
    "services": "10",
    "services.nodeports": "1",
    "services.loadbalancers": "1",
    "replicationcontrollers": "10",
    "resourcequotas": "1",
    "cpu": "1",
    "memory": "500Mi",
    "configmaps": "10",
    "secrets": "10",
    "persistentvolumeclaims": "10",
    "requests.storage": "10Gi",
    "requests.ephemeral-storage": "50Gi",
    "count/replicasets.apps": "5",
    "requests.example.com/dongle": "3",
    "gold.storageclass.storage.k8s.io/requests.storage": "10Gi",
}


class Quotas:
    """The quotas of one namespace."""

    def __init__(self, api: Rest, namespace: str) -> None:
        self._api = api
        self.core = f"/api/v1/namespaces/{namespace}"
        self.path = f"{self.core}/resourcequotas"

    def create(self, name: str, hard: dict[str, str], **spec: Any) -> Document:
        """A quota."""
        return self._api.create(self.path, {"metadata": {"name": name}, "spec": {"hard": hard, **spec}})

    async def shows(self, name: str, **used: str) -> None:
        """Wait until the quota says that exactly this is used; names have ``_`` for ``.`` and ``-``, others are 0."""
        await until(lambda: self._says(name, {}, used), timeout=20)

    async def shows_of(self, name: str, used: dict[str, str]) -> None:
        """The same, of these resources alone."""
        await until(lambda: self._says(name, used, {}), timeout=20)

    def _says(self, name: str, exactly: dict[str, str], others: dict[str, str]) -> bool:
        quota = self._api.get(f"{self.path}/{name}")
        status = quota.get("status") or {}
        if status.get("hard") != quota["spec"]["hard"]:
            raise NotYet(f"status.hard is {status.get('hard')}")
        wanted = exactly or {key: others.get(key.replace(".", "_"), "0") for key in status["hard"]}
        for key, text in wanted.items():
            if quantity.compare(status["used"][key], text):
                raise NotYet(f"{key}: {status['used'][key]} is used, not {text}")
        return True


@pytest.fixture
def quotas(api: Rest, namespace: str) -> Quotas:
    return Quotas(api, namespace)


def asking(name: str, requests: dict[str, str], limits: dict[str, str] | None = None, **spec: Any) -> Document:
    """A pod that no node takes, with these resources."""
    document = pod(name, **{**nowhere(), **spec})
    document["spec"]["containers"][0]["resources"] = {"requests": requests, "limits": limits or {}}
    return document


async def _lives(api: Rest, quotas: Quotas, path: str, document: Document, **used: str) -> None:
    """Counted while it lives, and not after."""
    quotas.create("most", HARD)
    start = {"configmaps": "1", "resourcequotas": "1"}
    await quotas.shows_of("most", start)
    api.create(path, document)
    await quotas.shows("most", **{**start, **used})
    api.delete(f"{path}/{document['metadata']['name']}")
    await quotas.shows("most", **start)


async def test_the_life_of_a_config_map(api: Rest, quotas: Quotas) -> None:
    await _lives(api, quotas, f"{quotas.core}/configmaps", {"metadata": {"name": "x"}}, configmaps="2")


async def test_the_life_of_a_secret(api: Rest, quotas: Quotas) -> None:
    await _lives(api, quotas, f"{quotas.core}/secrets", {"metadata": {"name": "x"}}, secrets="1")


async def test_the_life_of_a_replica_set(api: Rest, quotas: Quotas, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    document = replicaset("x", nowhere(), replicas=0)
    await _lives(api, quotas, path, document, **{"count/replicasets_apps": "1"})


async def test_the_life_of_a_replication_controller(api: Rest, quotas: Quotas) -> None:
    path = f"{quotas.core}/replicationcontrollers"
    await _lives(api, quotas, path, replication_controller("x", nowhere(), replicas=0), replicationcontrollers="1")


async def test_the_life_of_a_claim(api: Rest, quotas: Quotas) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "gold",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    await _lives(
        api,
        quotas,
        f"{quotas.core}/persistentvolumeclaims",
        {"metadata": {"name": "x"}, "spec": spec},
        persistentvolumeclaims="1",
        requests_storage="1Gi",
        **{"gold_storageclass_storage_k8s_io/requests_storage": "1Gi"},
    )


async def test_the_life_of_services(api: Rest, quotas: Quotas) -> None:
    path, ports = f"{quotas.core}/services", [{"port": 80}]
    quotas.create("most", HARD)
    start = {"configmaps": "1", "resourcequotas": "1"}
    await quotas.shows("most", **start)
    api.create(path, {"metadata": {"name": "plain"}, "spec": {"ports": ports}})
    api.create(path, {"metadata": {"name": "node"}, "spec": {"type": "NodePort", "ports": ports}})
    await quotas.shows("most", **start, services="2", services_nodeports="1")
    balanced = {"metadata": {"name": "balanced"}, "spec": {"type": "LoadBalancer", "ports": ports}}
    refused = api.request("POST", path, balanced).refused(403)
    assert (
        "exceeded quota: most, requested: services.nodeports=1, used: services.nodeports=1, "
        "limited: services.nodeports=1"
    ) in refused
    api.delete(f"{path}/plain")
    api.delete(f"{path}/node")
    await quotas.shows("most", **start)


async def test_the_life_of_a_pod(api: Rest, quotas: Quotas) -> None:
    pods = f"{quotas.core}/pods"
    quotas.create("most", HARD)
    start = {"configmaps": "1", "resourcequotas": "1"}
    await quotas.shows("most", **start)
    dongles = {"example.com/dongle": "2"}
    requests = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", **dongles}
    api.create(pods, asking("fits", requests, dongles))
    lives = {
        **start,
        "pods": "1",
        "cpu": "500m",
        "memory": "252Mi",
        "requests_ephemeral-storage": "30Gi",
        "requests_example_com/dongle": "2",
    }
    await quotas.shows("most", **lives)
    refused = api.request("POST", pods, asking("too-much", {"cpu": "600m", "memory": "100Mi"})).refused(403)
    assert refused == (
        'pods "too-much" is forbidden: exceeded quota: most, requested: cpu=600m, used: cpu=500m, limited: cpu=1'
    )
    more = asking("more-dongles", {"cpu": "1m", "memory": "1Mi", **dongles}, dongles)
    assert "requests.example.com/dongle=2" in api.request("POST", pods, more).refused(403)
    silent = api.request("POST", pods, pod("silent", **nowhere())).refused(403)
    assert silent == 'pods "silent" is forbidden: failed quota: most: must specify cpu for: main; memory for: main'
    change = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "100m"}}}]}}
    assert "spec" in api.request("PATCH", f"{pods}/fits", change, STRATEGIC).refused(422)
    await quotas.shows("most", **lives)
    api.delete(f"{pods}/fits")
    await quotas.shows("most", **start)


async def test_scopes_count_their_own(api: Rest, quotas: Quotas) -> None:
    pods = f"{quotas.core}/pods"
    hard = {"pods": "5", "requests.cpu": "1", "requests.memory": "500Mi", "limits.cpu": "2", "limits.memory": "1Gi"}
    quotas.create("terminating", hard, scopes=["Terminating"])
    quotas.create("lasting", hard, scopes=["NotTerminating"])
    quotas.create("besteffort", {"pods": "5"}, scopes=["BestEffort"])
    quotas.create("effort", {"pods": "5"}, scopes=["NotBestEffort"])
    requests, limits = {"cpu": "500m", "memory": "200Mi"}, {"cpu": "1", "memory": "400Mi"}
    used = {
        "pods": "1", "requests.cpu": "500m", "requests.memory": "200Mi", "limits.cpu": "1", "limits.memory": "400Mi",
    }  # fmt: skip
    nothing = dict.fromkeys(used, "0")
    api.create(pods, asking("lasts", requests, limits))
    await quotas.shows_of("lasting", used)
    await quotas.shows_of("terminating", nothing)
    await quotas.shows_of("effort", {"pods": "1"})
    await quotas.shows_of("besteffort", {"pods": "0"})
    api.delete(f"{pods}/lasts")
    await quotas.shows_of("lasting", nothing)
    api.create(pods, asking("ends", requests, limits, activeDeadlineSeconds=3600))
    await quotas.shows_of("terminating", used)
    await quotas.shows_of("lasting", nothing)
    api.delete(f"{pods}/ends")
    await quotas.shows_of("effort", {"pods": "0"})


async def test_pods_of_best_effort_count_in_their_own_scope(api: Rest, quotas: Quotas) -> None:
    pods = f"{quotas.core}/pods"
    quotas.create("besteffort", {"pods": "1"}, scopes=["BestEffort"])
    quotas.create("effort", {"pods": "1"}, scopes=["NotBestEffort"])
    api.create(pods, pod("bare", **nowhere()))
    await quotas.shows_of("besteffort", {"pods": "1"})
    await quotas.shows_of("effort", {"pods": "0"})
    refused = api.request("POST", pods, pod("another", **nowhere())).refused(403)
    assert "exceeded quota: besteffort, requested: pods=1, used: pods=1, limited: pods=1" in refused
    api.create(pods, asking("asks", {"cpu": "10m"}, {}))
    await quotas.shows_of("effort", {"pods": "1"})
    api.delete(f"{pods}/bare")
    await quotas.shows_of("besteffort", {"pods": "0"})
    await quotas.shows_of("effort", {"pods": "1"})


@pytest.fixture
def priority_class(api: Rest, namespace: str) -> Any:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    name = f"c-{namespace}"
    api.create(path, {"metadata": {"name": name}, "value": 10})
    yield name
    api.delete(f"{path}/{name}")


@pytest.mark.parametrize(
    ("operator", "values", "classed", "plain"),
    [
        ("In", True, "1", "0"),
        ("NotIn", True, "0", "1"),
        ("Exists", False, "1", "0"),
        ("DoesNotExist", False, "0", "1"),
    ],
)
async def test_scope_selectors_count_priorities(
    api: Rest, quotas: Quotas, priority_class: str, operator: str, values: bool, classed: str, plain: str
) -> None:
    pods = f"{quotas.core}/pods"
    expression: dict[str, Any] = {"scopeName": "PriorityClass", "operator": operator}
    if values:
        expression["values"] = [priority_class]
    quotas.create("chosen", {"pods": "1"}, scopeSelector={"matchExpressions": [expression]})
    api.create(pods, pod("classed", **nowhere(), priorityClassName=priority_class))
    await quotas.shows("chosen", pods=classed)
    api.delete(f"{pods}/classed")
    api.create(pods, pod("plain", **nowhere()))
    await quotas.shows("chosen", pods=plain)


async def test_scopes_can_be_no_more_than_their_kind(api: Rest, quotas: Quotas) -> None:
    wrong = {"metadata": {"name": "x"}, "spec": {"hard": {"secrets": "1"}, "scopes": ["BestEffort", "NotBestEffort"]}}
    refused = api.request("POST", quotas.path, wrong).refused(422)
    assert "unsupported scope applied to resource" in refused
    assert "conflicting scopes" in refused


async def test_update_and_delete(api: Rest, quotas: Quotas) -> None:
    quotas.create("changes", {"cpu": "1", "memory": "500Mi"})
    await quotas.shows("changes")  # after that nobody writes it but us
    read = api.get(f"{quotas.path}/changes")
    read["spec"]["hard"] = {"cpu": "2", "memory": "1Gi"}
    assert api.replace(f"{quotas.path}/changes", read)["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    await quotas.shows("changes")
    api.delete(f"{quotas.path}/changes")
    assert api.missing(f"{quotas.path}/changes")


async def test_a_collection_is_listed_everywhere_patched_and_deleted(api: Rest, quotas: Quotas, namespace: str) -> None:
    label = f"of={namespace}"
    body = {
        "metadata": {"name": "life", "labels": {"of": namespace}},
        "spec": {"hard": {"cpu": "1", "memory": "500Mi"}},
    }
    api.create(quotas.path, body)
    everywhere = api.get("/api/v1/resourcequotas", labelSelector=label)["items"]
    assert [each["metadata"]["name"] for each in everywhere] == ["life"]
    changed = api.patch(
        f"{quotas.path}/life", {"metadata": {"labels": {"also": "x"}}, "spec": {"hard": {"memory": "750Mi"}}}
    )
    assert changed["spec"]["hard"] == {"cpu": "1", "memory": "750Mi"}
    assert changed["metadata"]["labels"]["also"] == "x"
    api.delete(quotas.path, labelSelector=label)
    assert api.get("/api/v1/resourcequotas", labelSelector=label)["items"] == []


async def test_a_status_can_be_written_and_leaves_the_spec(api: Rest, quotas: Quotas) -> None:
    quotas.create("status", {"cpu": "500m", "memory": "500Mi"})
    await quotas.shows("status")
    read = api.get(f"{quotas.path}/status/status")
    read["status"]["hard"] = {"cpu": "500m", "memory": "500Mi"}
    assert api.replace(f"{quotas.path}/status/status", read)["status"]["hard"] == {"cpu": "500m", "memory": "500Mi"}
    changed = api.patch(f"{quotas.path}/status", {"spec": {"hard": {"cpu": "1", "memory": "1Gi"}}})
    assert changed["spec"]["hard"] == {"cpu": "1", "memory": "1Gi"}
    hard = {"cpu": "1", "memory": "1Gi"}
    patched = api.patch(
        f"{quotas.path}/status/status", {"metadata": {"annotations": {"a": "b"}}, "status": {"hard": hard}}
    )
    assert patched["status"]["hard"] == hard
    await quotas.shows("status")
    again = api.patch(f"{quotas.path}/status/status", {"spec": {"hard": {"cpu": "9"}}, "status": {"hard": hard}})
    assert again["spec"]["hard"] == hard


async def test_a_quota_may_be_lowered_below_its_use(api: Rest, quotas: Quotas) -> None:
    maps = f"{quotas.core}/configmaps"
    quotas.create("maps", {"configmaps": "3"})
    for name in ("a", "b"):
        api.create(maps, {"metadata": {"name": name}})
    api.patch(f"{quotas.path}/maps", {"spec": {"hard": {"configmaps": "2"}}})
    await quotas.shows("maps", configmaps="3")
    refused = api.request("POST", maps, {"metadata": {"name": "c"}}).refused(403)
    assert refused == (
        'configmaps "c" is forbidden: exceeded quota: maps, requested: configmaps=1, used: configmaps=3, '
        "limited: configmaps=2"
    )
    api.patch(f"{maps}/a", {"data": {"still": "changeable"}})
    api.delete(f"{maps}/a")
    await quotas.shows("maps", configmaps="2")


async def test_a_finished_pod_is_not_counted(api: Rest, quotas: Quotas) -> None:
    pods = f"{quotas.core}/pods"
    quotas.create("most", {"pods": "1", "count/pods": "2", "requests.cpu": "1"})
    api.create(pods, asking("first", {"cpu": "1"}))
    assert "pods=1" in api.request("POST", pods, asking("second", {"cpu": "1"})).refused(403)
    api.patch(f"{pods}/first/status", {"status": {"phase": "Succeeded"}})
    await quotas.shows_of("most", {"pods": "0", "requests.cpu": "0", "count/pods": "1"})
    api.create(pods, asking("second", {"cpu": "1"}))
    assert "count/pods=1" in api.request("POST", pods, asking("third", {"cpu": "1"})).refused(403)


async def test_kubectl_makes_and_describes_quotas(quotas: Quotas, kubectl: Kubectl) -> None:
    out = kubectl("create", "quota", "mine", "--hard=cpu=1,limits.memory=1Gi,pods=2,services=3", "--scopes=NotTerminating",
                  "--dry-run=client", "-o", "name")  # fmt: skip
    assert out == "resourcequota/mine"
    kubectl("create", "quota", "mine", "--hard=requests.cpu=1,limits.memory=1Gi,pods=2")
    await quotas.shows("mine")
    header, row = kubectl("get", "quota", "mine").splitlines()
    assert header.split() == ["NAME", "REQUEST", "LIMIT", "AGE"]
    assert "pods: 0/2, requests.cpu: 0/1" in row
    assert "limits.memory: 0/1Gi" in row
    described = kubectl("describe", "quota", "mine").split("\n")
    assert [line.split() for line in described[-3:]] == [
        ["limits.memory", "0", "1Gi"],
        ["pods", "0", "2"],
        ["requests.cpu", "0", "1"],
    ]
    assert "mine" in kubectl("describe", "namespace", quotas.core.rpartition("/")[2])


async def test_a_transaction_is_refused_whole_with_every_quota(api: Rest, quotas: Quotas, namespace: str) -> None:
    quotas.create("maps", {"configmaps": "2"})
    quotas.create("things", {"count/secrets": "1"})
    operations = [
        {
            "verb": "create",
            "object": {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": namespace, "name": name}},
        }
        for kind, name in (("ConfigMap", "a"), ("Secret", "a"), ("Secret", "b"))
    ]
    transaction = {"apiVersion": "moorage.io/v1", "kind": "Transaction", "spec": {"operations": operations}}
    refused = api.request("POST", "/apis/moorage.io/v1/transactions", transaction).refused(403)
    assert (
        "exceeded quota: things, requested: count/secrets=1, used: count/secrets=1, limited: count/secrets=1" in refused
    )
    assert api.missing(f"{quotas.core}/configmaps/a")
    assert api.missing(f"{quotas.core}/secrets/a")
    await quotas.shows_of("things", {"count/secrets": "0"})
