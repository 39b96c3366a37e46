"""Accept headers as real clients send them."""

from __future__ import annotations

import pytest

from moorage.api import negotiate
from moorage.api.errors import ApiError
from moorage.api.negotiate import Accepted

KUBECTL_GET = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
TABLE = Accepted("application/json", "Table", "meta.k8s.io", "v1")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", Accepted()),
        ("*/*", Accepted()),
        ("application/json", Accepted()),
        ("application/json, */*", Accepted()),
        ("application/*", Accepted()),
        ("application/vnd.kubernetes.protobuf,application/json", Accepted()),
        ("application/vnd.kubernetes.protobuf, */*", Accepted()),
        ("application/vnd.kubernetes.protobuf;stream=watch,application/json;stream=watch", Accepted()),
        ("text/html, application/yaml;q=0.5", Accepted("application/yaml")),
        ("application/json;q=0.1, application/yaml;q=0.9", Accepted("application/yaml")),
        ("*/*;q=0.1, application/yaml", Accepted("application/yaml")),
        ("application/yaml, application/json", Accepted("application/yaml")),
        ("application/json;pretty=1", Accepted(pretty=True)),
        (KUBECTL_GET, TABLE),
        (
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
            Accepted("application/json", "PartialObjectMetadataList", "meta.k8s.io", "v1"),
        ),
        ("application/json;as=Table;v=v9;g=meta.k8s.io, application/json", Accepted()),
        ("application/json;as=Table;v=v9;g=meta.k8s.io, application/json;as=Table;v=v1;g=meta.k8s.io", TABLE),
        ("application/json;charset=utf-8", Accepted()),
        (",,application/json;;", Accepted()),
    ],
)
def test_resources(accept: str, expected: Accepted) -> None:
    assert negotiate.for_resource(accept) == expected


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/vnd.kubernetes.protobuf",
        "application/json;q=0",
        "application/json;as=Table;v=v9;g=meta.k8s.io",
        "application/json;as=Pod;v=v1;g=",
        "application/json;q=banana",
        "image/*",
    ],
)
def test_what_cannot_be_served(accept: str) -> None:
    with pytest.raises(ApiError) as caught:
        negotiate.for_resource(accept)
    assert (caught.value.code, caught.value.reason) == (406, "NotAcceptable")
    assert caught.value.message == "only the following media types are accepted: application/json, application/yaml"


def test_yaml_cannot_be_streamed() -> None:
    with pytest.raises(ApiError, match="only the following media types are accepted: application/json"):
        negotiate.for_resource("application/yaml", watch=True)
    assert negotiate.for_resource("application/yaml, application/json", watch=True) == Accepted()


def test_aggregated_discovery() -> None:
    kubectl = (
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
    )
    accepted = negotiate.for_discovery(kubectl)
    assert accepted.content_type == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert negotiate.for_discovery("application/json").content_type == "application/json"
    assert negotiate.for_discovery("").kind == ""


def test_openapi_falls_back_to_json() -> None:
    proto = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
    assert negotiate.for_openapi_v3(f"{proto},application/json").media_type == "application/json"
    with pytest.raises(ApiError):
        negotiate.for_openapi_v3(proto)


def test_stored_bytes_serve_plain_requests_only() -> None:
    assert Accepted().plain
    assert not TABLE.plain
    assert not Accepted(pretty=True).plain
    assert not Accepted("application/yaml").plain
