"""Protobuf bodies become what a JSON body would have been. (Real kubectl sends them in ``tests/conformance``.)"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.api import protobuf
from moorage.api.protobuf import wire
from moorage.api.protobuf.messages import message, table


def number(value: int) -> bytes:
    """A varint."""
    value &= 0xFFFFFFFFFFFFFFFF
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(tag: int, value: int | bytes | str) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return number(tag << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(tag << 3 | 2) + number(len(data)) + data


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    """A whole request body."""
    types = field(1, api_version) + field(2, kind)
    return b"k8s\x00" + field(1, types) + field(2, raw) + field(3, "") + field(4, "")


def test_a_namespace_as_kubectl_create_sends_it() -> None:
    metadata = field(1, "team") + field(2, "") + field(3, "") + field(4, "") + field(5, "") + field(6, "") + field(7, 0)
    raw = field(1, metadata + field(8, b"")) + field(2, b"") + field(3, field(1, ""))
    assert protobuf.decode(body("v1", "Namespace", raw)) == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "team"},
        "spec": {},
        "status": {},
    }


def test_maps_lists_inline_structs_quantities_and_int_or_string() -> None:
    probe_port = field(1, 1) + field(2, 0) + field(3, "http")
    probe = field(1, field(2, field(1, "/") + field(2, probe_port))) + field(2, 5)
    quantity = field(1, "100m")
    resources = field(2, field(1, "cpu") + field(2, quantity))
    container = (
        field(1, "main")
        + field(2, "web:1")
        + field(3, "run")
        + field(3, "fast")
        + field(8, resources)
        + field(10, probe)
    )
    volume = field(1, "cache") + field(2, field(2, field(1, "Memory")))
    metadata = field(1, "p") + field(11, field(1, "app") + field(2, "web"))
    decoded = protobuf.decode(body("v1", "Pod", field(1, metadata) + field(2, field(2, container) + field(1, volume))))
    assert decoded["metadata"] == {"name": "p", "labels": {"app": "web"}}
    assert decoded["spec"]["volumes"] == [{"name": "cache", "emptyDir": {"medium": "Memory"}}]
    assert decoded["spec"]["containers"] == [
        {
            "name": "main",
            "image": "web:1",
            "command": ["run", "fast"],
            "resources": {"requests": {"cpu": "100m"}},
            "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "initialDelaySeconds": 5},
        }
    ]


def test_zero_behind_a_pointer_is_kept() -> None:
    spec = field(1, 0) + field(7, 1)
    assert message("io.k8s.api.apps.v1.DeploymentSpec", spec) == {"replicas": 0, "paused": True}


def test_times_and_bytes_take_their_json_forms() -> None:
    metadata = message("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", field(9, field(1, 1_700_000_000)))
    assert metadata == {"deletionTimestamp": "2023-11-14T22:13:20Z"}
    renewed = message("io.k8s.api.coordination.v1.LeaseSpec", field(4, field(1, 1) + field(2, 500_000)))
    assert renewed == {"renewTime": "1970-01-01T00:00:01.000500Z"}
    secret = message("io.k8s.api.core.v1.Secret", field(2, field(1, "key") + field(2, b"\x00\xff")))
    assert secret == {"data": {"key": "AP8="}}


def test_delete_options_are_known_in_every_group() -> None:
    decoded = protobuf.decode(body("apps/v1", "DeleteOptions", field(1, 0) + field(4, "Foreground")))
    assert decoded == {
        "apiVersion": "apps/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
    }


def test_negative_numbers_and_unknown_fields() -> None:
    assert message("io.k8s.api.apps.v1.ReplicaSetSpec", field(1, -1) + field(999, "new") + field(998, 7)) == {
        "replicas": -1
    }


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"{}", "magic bytes"),
        (b"k8s\x00\x0a\xff", "cut off"),
        (body("v1", "Pod", b"\x0a\x05a"), "cut off"),
        (body("v1", "Pod", field(2, field(2, field(1, b"\xff\xfe")))), "not UTF-8"),
        (body("example.org/v1", "Thing", b""), 'kind "Thing" of "example.org/v1" is not known'),
        (body("v1", "Pod", field(1, 5)), "a number stands where"),
    ],
)
def test_what_is_no_such_body_is_refused_with_a_reason(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        protobuf.decode(data)


def test_no_type_contains_itself_so_nesting_is_bounded() -> None:
    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"{name} contains itself: decoding needs a limit of depth"
        for _, type_, _ in table().get(name, {}).values():
            walk(type_.removeprefix("map:"), (*above, name))

    for name in ("Pod", "Namespace", "Node", "Service", "Event", "Secret"):
        walk(f"io.k8s.api.core.v1.{name}", ())


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_raise_value_error(data: bytes) -> None:
    with suppress(ValueError):
        message("io.k8s.api.core.v1.Pod", data)


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_varints_round_trip(value: int) -> None:
    decoded, end = wire.varint(number(value), 0)
    assert wire.signed(decoded) == value
    assert end == len(number(value))
