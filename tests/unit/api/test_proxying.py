"""``/proxy``: names, which pod is meant, headers, links."""

from __future__ import annotations

from typing import Any

import pytest

from moorage.api import paths
from moorage.api.errors import ApiError
from moorage.api.proxying import headers, names, targets
from moorage.api.proxying.links import LONGEST_TAG, Rewriter
from moorage.api.proxying.names import Target

POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "red", "uid": "u1"},
    "spec": {"nodeName": "n", "containers": [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 8080}]}]},
    "status": {"podIP": "10.1.0.5", "podIPs": [{"ip": "10.1.0.5"}]},
}
SERVICE: dict[str, Any] = {
    "metadata": {"name": "front", "namespace": "red"},
    "spec": {"ports": [{"name": "p", "port": 80}]},
}
REFERENCE = {"kind": "Pod", "namespace": "red", "name": "web", "uid": "u1"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("web", Target("http", "web", "")),
        ("web:80", Target("http", "web", "80")),
        ("http:web:name", Target("http", "web", "name")),
        ("https:web:", Target("https", "web", "")),
        (":web:80", Target("http", "web", "80")),
    ],
)
def test_names(text: str, wanted: Target) -> None:
    assert names.parse("pod", text) == wanted


@pytest.mark.parametrize("text", ["", ":80", "ftp:web:80", "http::80", "a:b:c:d", "file:web:"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(ApiError, match="invalid pod request") as raised:
        names.parse("pod", text)
    assert raised.value.code == 400


@pytest.mark.parametrize("text", ["0", "65536", "-1", "٣", "99999999999", "x", "8 0"])
def test_numbers_that_are_no_ports(text: str) -> None:
    assert names.number(text) is None


@pytest.mark.parametrize(
    ("path", "rest"),
    [("proxy", ""), ("proxy/", "/"), ("proxy/a//b/", "/a//b/"), ("proxy/../../../x/pods/y", "/../../../x/pods/y")],
)
def test_the_path_at_the_pod(path: str, rest: str) -> None:
    found = paths.parse(f"/api/v1/namespaces/red/pods/http:web:80/{path}")
    assert found is not None
    assert (found.namespace, found.resource, found.name, found.subresource) == ("red", "pods", "http:web:80", "proxy")
    assert found.rest == rest


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/red/pods/web/exec/x",
        "/api/v1/namespaces//pods/web/proxy/x",
        "/apis/apps/v1/namespaces/red/deployments/web/proxy/x",
        "/api/v1/pods/web/proxy/x",
    ],
)
def test_paths_that_lead_nowhere(path: str) -> None:
    assert paths.parse(path) is None


def test_a_pod_without_a_port_has_its_first_or_the_schemes() -> None:
    assert targets.of_pod(POD, Target("http", "web", "")).port == 8080
    bare = {**POD, "spec": {"containers": [{"name": "a"}]}}
    assert targets.of_pod(bare, Target("https", "web", "")).port == 443
    with pytest.raises(ApiError, match="is not a port number"):
        targets.of_pod(POD, Target("http", "web", "x"))


def piece(*endpoints: dict[str, Any], name: str = "p") -> dict[str, Any]:
    return {
        "metadata": {"labels": {targets.SERVICE_NAME: "front"}},
        "ports": [{"name": name, "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def find(name: str) -> dict[str, Any] | None:
    return POD if name == "web" else None


@pytest.mark.parametrize("port", ["80", "p"])
def test_a_service_leads_to_a_pod_behind_it(port: str) -> None:
    slices = [piece({"addresses": ["10.1.0.5"], "targetRef": REFERENCE})]
    place = targets.of_service(SERVICE, Target("http", "front", port), "front", slices, find)
    assert (place.pod, place.port, place.address) == (POD, 8080, "10.1.0.5:8080")


@pytest.mark.parametrize(
    "endpoint",
    [
        {"addresses": ["169.254.169.254"]},
        {"addresses": ["169.254.169.254"], "targetRef": REFERENCE},
        {"addresses": ["10.1.0.5", "127.0.0.1"], "targetRef": REFERENCE},
        {"addresses": [], "targetRef": REFERENCE},
        {"addresses": ["10.1.0.5"], "targetRef": {**REFERENCE, "namespace": "blue"}},
        {"addresses": ["10.1.0.5"], "targetRef": {**REFERENCE, "name": "other"}},
        {"addresses": ["10.1.0.5"], "targetRef": {**REFERENCE, "uid": "u0"}},
        {"addresses": ["10.1.0.5"], "targetRef": {**REFERENCE, "kind": "Node"}},
        {"addresses": ["10.1.0.5"], "targetRef": REFERENCE, "conditions": {"ready": False}},
    ],
)
def test_addresses_that_no_pod_of_the_namespace_has_lead_nowhere(endpoint: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match='no endpoints available for service "front:p"') as raised:
        targets.of_service(SERVICE, Target("http", "front", "p"), "front:p", [piece(endpoint)], find)
    assert raised.value.code == 503


def test_what_goes_up() -> None:
    given = [
        (b"host", b"api"),
        (b"authorization", b"Bearer x"),
        (b"Cookie", b"a=b"),
        (b"impersonate-user", b"admin"),
        (b"impersonate-extra-scopes", b"x"),
        (b"x-remote-user", b"admin"),
        (b"proxy-authorization", b"Basic x"),
        (b"connection", b"upgrade, X-Hop"),
        (b"upgrade", b"h2c"),
        (b"x-hop", b"1"),
        (b"content-length", b"3"),
        (b"transfer-encoding", b"chunked"),
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"x-forwarded-uri", b"/forged"),
        (b"x-own", b"kept"),
    ]
    assert headers.upward(given, "/p/x", "9.9.9.9") == [
        (b"host", b"api"),
        (b"x-own", b"kept"),
        (b"x-forwarded-for", b"1.2.3.4, 9.9.9.9"),
        (b"x-forwarded-uri", b"/p/x"),
        (b"accept-encoding", b"identity"),
    ]


def test_what_comes_down() -> None:
    given = [
        (b"Set-Cookie", b"session=1"),
        (b"access-control-allow-origin", b"*"),
        (b"transfer-encoding", b"chunked"),
        (b"x-own", b"kept"),
    ]
    assert headers.downward(given) == [(b"x-own", b"kept")]


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ("/x", "/p/proxy/x"),
        ("/x/?a=/b#c", "/p/proxy/x/?a=/b#c"),
        ("/", "/p/proxy/"),
        ("http://10.1.0.5:8080/x", "/p/proxy/x"),
        ("/p/proxy/x", "/p/proxy/x"),
        ("/../../x", "/x"),
        ("x", "x"),
        ("#top", "#top"),
        ("http://elsewhere/x", "http://elsewhere/x"),
        ("//elsewhere/x", "//elsewhere/x"),
        ("mailto:a@b", "mailto:a@b"),
    ],
)
def test_links(link: str, wanted: str) -> None:
    assert headers.rewritten(link, "/p/proxy", ("10.1.0.5:8080", "api")) == wanted


PAGE = b"""<!DOCTYPE html><!-- <a href="/no"> --><A class=b HREF='/x?a=1&amp;b'>1 < 2</A><img src=/i.png data-src="/d">
<script src="/s.js">var a = '<a href="/no">';</script><a href="rel">x</a><form action="/f"></form><a href="/cut"""
REWRITTEN = b"""<!DOCTYPE html><!-- <a href="/no"> --><A class=b HREF='P/x?a=1&amp;b'>1 < 2</A><img src="P/i.png" data-src="/d">
<script src="P/s.js">var a = '<a href="/no">';</script><a href="rel">x</a><form action="P/f"></form><a href="/cut"""


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_pages(size: int) -> None:
    rewriter = Rewriter(lambda link: f"P{link}" if link.startswith("/") else link)
    pieces = [rewriter.feed(PAGE[start : start + size]) for start in range(0, len(PAGE), size)]
    assert b"".join([*pieces, rewriter.finish()]) == REWRITTEN


def test_a_tag_without_an_end_goes_through() -> None:
    rewriter = Rewriter(str.upper)
    page = b"<a href='" + b"/x" * LONGEST_TAG + b" <!-- " + b"<a " * LONGEST_TAG
    assert rewriter.feed(page) + rewriter.finish() == page
