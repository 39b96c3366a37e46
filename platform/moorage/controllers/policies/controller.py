"""Keeps the PolicyRules of every NetworkPolicy as policies, namespaces and pods are."""

from __future__ import annotations

from collections.abc import Iterable

from moorage.client import operations
from moorage.client.errors import AlreadyExists, Conflict, Forbidden, NotFound
from moorage.client.lean import lean_pod
from moorage.client.objects import Document, ObjectKey, is_deleting, key_of, uid_of
from moorage.client.operations import Operation
from moorage.client.reconcile import DONE, Outcome, Runner, Temporary
from moorage.client.resource import NAMESPACES, NETWORK_POLICIES, PODS, POLICY_RULES
from moorage.controllers.context import Context
from moorage.controllers.policies.plan import Spaces, concerns, reached_namespaces, resolve

GATHER = 0.02
"""Seconds for which a policy waits for more pods to change: those of a deployment come together."""
_BY_NAMESPACE = "namespace, for policies"


class NetworkPolicyController:
    """One key is one policy. A pod wakes the policies whose targets or peers its namespace may hold."""

    def __init__(self, context: Context) -> None:
        self._client = context.client
        self._policies = context.informers.get(NETWORK_POLICIES)
        self._rules = context.informers.get(POLICY_RULES)
        self._namespaces = context.informers.get(NAMESPACES)
        self._pods = context.informers.get(PODS, transform=lean_pod)
        self._runner: Runner[ObjectKey] = Runner("network policy", self.reconcile, workers=context.options.workers)
        self._reach: dict[ObjectKey, set[str]] = {}
        self._readers: dict[str, set[ObjectKey]] = {}
        """Policies by the namespaces whose pods they look at."""
        self._labels: dict[str, dict[str, str]] = {}
        self._pods.add_index(_BY_NAMESPACE, lambda pod: (pod["metadata"]["namespace"],))
        self._namespaces.add_handler(self._namespace_changed)
        self._policies.add_handler(self._policy_changed)
        self._rules.add_handler(self._rules_changed)
        self._pods.add_handler(self._pod_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for informer in (self._namespaces, self._pods, self._policies, self._rules):
            await informer.wait_synced()
        await self._runner.run()

    async def reconcile(self, key: ObjectKey) -> Outcome:
        """Look at one policy."""
        step = self._step(key)
        if step is None:
            return DONE
        result = (await self._client.batch([step])).results[0]
        if result.error is None or isinstance(result.error, NotFound):
            return DONE
        if isinstance(result.error, Forbidden) and result.error.causes:
            return DONE  # the namespace is going away
        if isinstance(result.error, AlreadyExists | Conflict):
            return Temporary(f"the cache lags behind: {result.error}")
        return Temporary(str(result.error))

    def _step(self, key: ObjectKey) -> Operation | None:
        policy, rules = self._policies.get(*key), self._rules.get(*key)
        if policy is None or is_deleting(policy):
            return operations.delete(POLICY_RULES, *key, uid=uid_of(rules)) if rules is not None else None
        wanted = resolve(policy, Spaces(self._labels, self._pods_of))
        if rules is None:
            return operations.create(wanted)
        own = rules["metadata"]
        if rules.get("spec") == wanted["spec"] and own.get("ownerReferences") == wanted["metadata"]["ownerReferences"]:
            return None
        wanted["metadata"] |= {"uid": own["uid"], "resourceVersion": own["resourceVersion"]}
        return operations.update(wanted)

    def _pods_of(self, namespace: str) -> Iterable[Document]:
        return self._pods.by_index(_BY_NAMESPACE, namespace)

    def _policy_changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        key = key_of(document)
        self._follow(key, set() if new is None else reached_namespaces(new, self._labels))
        if old is None or new is None or old.get("spec") != new.get("spec"):
            self._runner.queue.add(key)

    def _rules_changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        self._runner.queue.add(key_of(document))

    def _namespace_changed(self, old: Document | None, new: Document | None) -> None:
        document = new or old
        assert document is not None
        name = document["metadata"]["name"]
        labels = None if new is None else dict(new["metadata"].get("labels") or {})
        if labels == self._labels.get(name):
            return
        if labels is None:
            del self._labels[name]
        else:
            self._labels[name] = labels
        for policy in self._policies:
            key = key_of(policy)
            reached = reached_namespaces(policy, self._labels)
            if reached != self._reach.get(key):
                self._follow(key, reached)
                self._runner.queue.add(key)

    def _follow(self, key: ObjectKey, reached: set[str]) -> None:
        """Remember whose pods a policy looks at."""
        before = self._reach.pop(key, set())
        for name in before - reached:
            self._readers[name].discard(key)
        for name in reached - before:
            self._readers.setdefault(name, set()).add(key)
        if reached:
            self._reach[key] = reached

    def _pod_changed(self, old: Document | None, new: Document | None) -> None:
        pod = new or old
        assert pod is not None
        states = [None if each is None else concerns(each) for each in (old, new)]
        if states[0] != states[1]:
            for key in self._readers.get(pod["metadata"]["namespace"], ()):
                self._runner.queue.add_after(key, GATHER)
