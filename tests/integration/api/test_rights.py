"""Who may do nothing is told 403 and who is nobody 401, at every path, with every verb. A new endpoint without it fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastapi.routing import APIRoute

from moorage.api.contracts import Attributes
from moorage.api.verbs import routes
from moorage.resources.kind import Kind
from tests.integration.api.documents import CONFIGMAPS, configmap, create, namespace, send
from tests.support.apiserver import RunningApi

OPEN = {"/version", "/cacerts", "/healthz", "/livez", "/readyz"}
"""What anybody may read, as in Kubernetes."""

ELSEWHERE = {("token", "create")}
"""Subresources that ``moorage_tenants`` serves by ``ApiConfig.handlers``; the calls above ask for them as for every other."""

METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH",
           "delete": "DELETE", "deletecollection": "DELETE"}  # fmt: skip
BODIES = {"patch": "application/merge-patch+json"}


def kind_calls(kind: Kind) -> Iterator[tuple[str, str]]:
    """(verb, path) of everything that a kind serves."""
    prefix = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    collections = [f"{prefix}/{kind.plural}"]
    if kind.namespaced:
        collections.append(f"{prefix}/namespaces/default/{kind.plural}")
    for verb in kind.verbs:
        if verb in ("list", "watch"):
            yield from ((verb, path) for path in collections)
        elif verb in ("create", "deletecollection"):
            yield verb, collections[-1]
        else:
            yield verb, f"{collections[-1]}/x"
    for name, subresource in kind.subresources.items():
        for verb in subresource.verbs:
            yield verb, f"{collections[-1]}/x/{name}"


def own_paths(api: RunningApi) -> Iterator[str]:
    """Paths of the FastAPI routes, parameters filled in."""
    for route in api.app.routes:
        assert isinstance(route, APIRoute), f"{route} is no APIRoute: say here how it is authorised"
        path = re.sub(r"\{path:path\}", "api/v1", route.path)
        yield path.format(version="v1", group="apps", check="ping")


async def test_every_resource_verb(api: RunningApi) -> None:
    calls = [(verb, path) for kind in api.app.service.registry for verb, path in kind_calls(kind)]
    assert len(calls) > 150
    async with api.session("nobody-token") as nobody, api.session("") as stranger, api.session("wrong") as forger:
        for verb, path in calls:
            params = {"watch": "1"} if verb == "watch" else {}
            headers = {"Content-Type": BODIES.get(verb, "application/json")}
            options = {"params": params, "headers": headers}
            denied = await send(nobody, METHODS[verb], path, {}, expect=403, **options)
            assert denied["reason"] == "Forbidden"
            assert 'User "nobody" cannot' in denied["message"]
            for session in (stranger, forger):
                refused = await send(session, METHODS[verb], path, {}, expect=401, **options)
                assert refused["reason"] == "Unauthorized"
    asked = {(each.verb, each.resource, each.subresource) for each in api.policies.authorizer.refused}
    wanted = {
        (
            verb,
            kind.plural,
            path.rsplit("/", 1)[1] if path.endswith(tuple(f"/x/{name}" for name in kind.subresources)) else "",
        )
        for kind in api.app.service.registry
        for verb, path in kind_calls(kind)
    }
    assert wanted <= asked


async def test_every_path_of_our_own(api: RunningApi) -> None:
    async with api.session("nobody-token") as nobody, api.session("") as stranger:
        for path in own_paths(api):
            if any(path == each or path.startswith(f"{each}/") for each in OPEN):
                async with stranger.get(path) as response:
                    assert response.status == 200, path
                continue
            await send(nobody, "GET", path, expect=403)
            await send(stranger, "GET", path, expect=401)


def test_every_handler_belongs_to_a_declared_subresource() -> None:
    """The table of handlers names nothing that the coverage above would not meet."""
    from moorage.resources.builtin import builtin_registry

    declared = {
        (name, verb)
        for kind in builtin_registry()
        for name, subresource in kind.subresources.items()
        for verb in subresource.verbs
    }
    declared |= {("", verb) for verb in ("get", "update", "patch", "delete")}
    declared.add(("proxy", ""))  # OPTIONS, which is no verb (as in Kubernetes)
    assert set(routes.OBJECT) <= declared
    assert declared <= set(routes.OBJECT) | {("", "create")} | ELSEWHERE


async def test_what_is_unknown_is_refused_before_it_is_looked_for(api: RunningApi) -> None:
    async with api.session("nobody-token") as nobody, api.session("") as stranger:
        for path in ("/apis/x.io/v1/things", f"{CONFIGMAPS}/c/nothing", "/api/v1/widgets"):
            await send(nobody, "GET", path, expect=403)
            await send(stranger, "GET", path, expect=401)


async def test_an_apply_that_creates_needs_both_rights(api: RunningApi) -> None:
    api.policies.authorizer.rules.append(lambda asked: asked.verb == "patch")
    params, headers = {"fieldManager": "me"}, {"Content-Type": "application/apply-patch+yaml"}
    async with api.session("nobody-token") as nobody:
        call = {"params": params, "headers": headers}
        denied = await send(nobody, "PATCH", f"{CONFIGMAPS}/c", configmap(), expect=403, **call)
        assert "cannot create" in denied["message"]
        api.policies.authorizer.rules.append(lambda asked: asked.verb == "create" and asked.name == "c")
        await send(nobody, "PATCH", f"{CONFIGMAPS}/c", configmap(), expect=201, **call)


async def test_a_create_may_be_allowed_for_what_it_creates(api: RunningApi) -> None:
    """Roles that depend on the object (a node and its own Lease) are asked again once it is known."""

    def own(asked: Attributes) -> bool:
        return asked.document is not None and asked.document["metadata"].get("name") == "mine"

    api.policies.authorizer.rules.append(own)
    async with api.session("nobody-token") as nobody:
        await create(nobody, CONFIGMAPS, configmap("mine"))
        await send(nobody, "POST", CONFIGMAPS, configmap("yours"), expect=403)
        _, decision, outcome = api.policies.auditor.records[-1]
        assert (decision.allowed, outcome["code"]) == (False, 403)
        # Saying nothing of the name leads nowhere.
        await send(nobody, "POST", CONFIGMAPS, {"metadata": {"generateName": "mine"}}, expect=403)


async def test_the_authorizer_hears_what_is_asked_for(api: RunningApi) -> None:
    await create(api.client, "/api/v1/namespaces", namespace("a"))
    async with api.session("nobody-token") as nobody:
        await send(nobody, "GET", "/api/v1/pods", expect=403, params={"fieldSelector": "spec.nodeName=n1"})
        assert dict(api.policies.authorizer.refused[-1].field_selector) == {"spec.nodeName": "n1"}
        await send(nobody, "GET", CONFIGMAPS, expect=403, params={"fieldSelector": "metadata.name=c", "watch": "1"})
        asked = api.policies.authorizer.refused[-1]
        assert (asked.verb, asked.name, asked.namespace) == ("watch", "c", "default")
        await send(nobody, "PUT", "/api/v1/namespaces/a/finalize", {}, expect=403)
        asked = api.policies.authorizer.refused[-1]
        assert (asked.resource, asked.subresource, asked.name, asked.namespace) == ("namespaces", "finalize", "a", "")
