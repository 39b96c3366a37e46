"""``POST serviceaccounts/NAME/token``: a token for an account, bound to an object where that is asked for.

Source: KEP-1205, ``pkg/registry/core/serviceaccount/storage/token.go``; for nodes, the NodeRestriction admission (KEP-279) and
its limit on audiences (KEP-4412).
"""

from __future__ import annotations

import time
from typing import Any

from moorage.api.answers import send_value
from moorage.api.bodies import object_body
from moorage.api.errors import ApiError, bad_request, conflict, forbidden, invalid, not_found
from moorage.api.freshness import fresh
from moorage.api.options import write_options
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.resources.authentication import TOKEN_REQUEST, token_request_errors
from moorage.resources.kind import Document, ResourceKey
from moorage.store.contracts import Entry, Store
from moorage_tenants import names
from moorage_tenants.authentication.accounts.claims import Bound, Ref
from moorage_tenants.authentication.accounts.tokens import ACCOUNTS, NODES, PODS, SECRETS, AccountTokens
from moorage_tenants.authentication.instants import stamp

DEFAULT_SECONDS = 3600


class TokenRequests:
    """The endpoint. ``longest`` is the most seconds that a token lives, whatever is asked for."""

    def __init__(self, tokens: AccountTokens, longest: int) -> None:
        self._tokens = tokens
        self._longest = longest

    async def create(self, service: Service, request: Request) -> None:
        """Answer one request. Raises ApiError."""
        options = write_options(request.query, "CreateOptions")
        body = (await object_body(request, TOKEN_REQUEST, options.strictness))()
        spec: dict[str, Any] = body.get("spec") or {}
        _check_name(body, request)
        seconds = spec.get("expirationSeconds") or DEFAULT_SECONDS
        spec["expirationSeconds"] = seconds
        errors = token_request_errors({"spec": spec})
        if errors:
            raise invalid(TOKEN_REQUEST.group, TOKEN_REQUEST.kind, "", errors)
        account = await _entry(service.store, ACCOUNTS, request.namespace, request.name)
        bound = await self._bound(service.store, request, account, spec)
        audiences = [each for each in spec.get("audiences") or () if each] or list(self._tokens.audiences)
        spec = {**spec, "audiences": audiences, "expirationSeconds": min(seconds, self._longest)}
        status: dict[str, Any] = {}
        if not options.dry_run:
            token, expires = await self._tokens.issue(bound, audiences, spec["expirationSeconds"])
            status = {"token": token, "expirationTimestamp": stamp(expires)}
        answer = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": request.name,
                "namespace": request.namespace,
                "creationTimestamp": stamp(time.time()),
            },
            "spec": spec,
            "status": status,
        }
        await send_value(request, answer, 201)

    async def _bound(self, store: Store, request: Request, account: Entry, spec: Document) -> Bound:
        bound = Bound(request.namespace, Ref(request.name, account.uid))
        ref: dict[str, Any] = spec.get("boundObjectRef") or {}
        for_node = names.NODES in request.identity.groups
        if not ref:
            if for_node:
                raise _node_refused(request, "node requested token not bound to a pod")
            return bound
        match ref.get("apiVersion", ""), ref.get("kind", ""):
            case "v1", "Pod":
                pod = await self._referenced(store, PODS, request, ref)
                _check_pod(request, pod.document(), ref, spec, for_node=for_node)
                return Bound(
                    bound.namespace, bound.account, pod=Ref(pod.key.name, pod.uid), node=await _node_of(store, pod)
                )
            case _ if for_node:
                raise _node_refused(request, "node requested token not bound to a pod")
            case "v1", "Secret":
                secret = await self._referenced(store, SECRETS, request, ref)
                return Bound(bound.namespace, bound.account, secret=Ref(secret.key.name, secret.uid))
            case "v1", "Node":
                node = await self._referenced(store, NODES, request, ref)
                return Bound(bound.namespace, bound.account, node=Ref(node.key.name, node.uid))
            case version, kind:
                raise bad_request(f"cannot bind token to object of type {version}, Kind={kind}")

    async def _referenced(self, store: Store, resource: ResourceKey, request: Request, ref: Document) -> Entry:
        namespace = "" if resource == NODES else request.namespace
        entry = await _entry(store, resource, namespace, ref.get("name", ""))
        asked = ref.get("uid", "")
        if asked and asked != entry.uid:
            raise conflict(
                "",
                resource.resource,
                entry.key.name,
                f"the UID in the bound object reference ({asked}) does not match the UID in record. "
                "The object might have been deleted and then recreated",
            )
        return entry


def _check_name(body: Document, request: Request) -> None:
    """The body names the account of the URL, or nothing."""
    metadata = body.get("metadata") or {}
    for field, wanted in (("name", request.name), ("namespace", request.namespace)):
        given = metadata.get(field)
        if given and given != wanted:
            what = "service account name" if field == "name" else "service account namespace"
            raise bad_request(f"must match the {what}: metadata.{field} is {given!r}, the URL says {wanted!r}")


def _check_pod(request: Request, pod: Document, ref: Document, spec: Document, *, for_node: bool) -> None:
    """The pod runs as the account; and where a node asks, on that node. Raises ApiError."""
    pod_spec = pod.get("spec") or {}
    if pod_spec.get("serviceAccountName", "") != request.name:
        raise bad_request(
            f'cannot bind token for serviceaccount "{request.name}" to pod running with different serviceaccount name.'
        )
    if not for_node:
        return
    if not ref.get("uid"):
        raise _node_refused(request, "node requested token with a pod binding without a uid")
    if names.NODE_PREFIX + (pod_spec.get("nodeName") or "") != request.identity.name:
        raise _node_refused(request, "node requested token bound to a pod scheduled on a different node")
    mounted = {
        source["serviceAccountToken"].get("audience", "")
        for volume in pod_spec.get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
        if source.get("serviceAccountToken")
    }
    for audience in spec.get("audiences") or ():
        if audience and audience not in mounted:
            raise _node_refused(request, f'audience "{audience}" not found in pod spec volume')


def _node_refused(request: Request, why: str) -> ApiError:
    return forbidden("", "serviceaccounts", request.name, why)


async def _node_of(store: Store, pod: Entry) -> Ref | None:
    """Where the pod runs, as far as that is known."""
    name = (pod.document().get("spec") or {}).get("nodeName")
    if not name:
        return None
    node = (await store.cache(NODES)).get("", name)
    return Ref(name, node.uid if node is not None else "")


async def _entry(store: Store, resource: ResourceKey, namespace: str, name: str) -> Entry:
    """The object as of now. Raises ApiError 404."""
    entry = (await fresh(store, resource)).get(namespace, name)
    if entry is None:
        raise not_found(resource.group, resource.resource, name)
    return entry
