"""Keeping others from being served: what is large, deep, slow, many, or counts wrongly."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.attacks.arena import Arena, config_map, pod, transaction
from tests.attacks.caller import refused
from tests.support.rest import APPLY, JSON_PATCH
from tests.support.wait import until

SOON = 60.0
"""Seconds within which the victim is answered, whatever goes on: a bound on being stopped, not a measurement."""


@pytest.fixture(autouse=True)
def the_victim_is_served(arena: Arena) -> Iterator[None]:
    """After each attack the victim reads and writes as before."""
    yield
    victim, begun = arena.victim, time.monotonic()
    assert victim.caller.send("GET", victim.at("secrets", "db")).code == 200
    assert victim.caller.merge(victim.at("configmaps", "settings"), {"data": {"time": str(begun)}}).code == 200
    assert time.monotonic() - begun < SOON


def test_bodies_that_are_too_large(arena: Arena) -> None:
    mallory, path = arena.mallory, arena.attacker.at("configmaps")
    large = config_map("large", value="x" * (4 << 20))
    refused(mallory.send("POST", path, large), 413)
    assert arena.mallory.raw(_head(arena, path, "Content-Length: 99999999999"), seconds=10).split(b" ", 2)[1] == b"413"
    step = {"verb": "create", "object": large}
    refused(mallory.send("POST", "/apis/moorage.io/v1/transactions", transaction(*[step] * 9)), 413, 422)
    many = transaction(
        *[{"verb": "create", "object": config_map(f"n{n}", arena.attacker.namespace)} for n in range(5001)]
    )
    refused(mallory.send("POST", "/apis/moorage.io/v1/transactions", many), 413, 422, 400)
    for own in ("tokens", "nodecredentials"):
        refused(
            mallory.send("POST", f"/apis/moorage.io/v1/{own}", {"spec": {"x": "y" * (1 << 20)}}), 400, 403, 404, 413
        )


def _head(arena: Arena, path: str, *lines: str) -> bytes:
    head = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {arena.mallory.token}",
        "Content-Type: application/json",
    ]
    return ("\r\n".join([*head, *lines]) + "\r\n\r\n").encode()


def test_deep_and_wide_documents(arena: Arena) -> None:
    """Nesting, duplicated keys and long lists: refused, or read in their own time."""
    mallory, path = arena.mallory, arena.attacker.at("configmaps")
    deep = "[" * 100_000 + "]" * 100_000
    nested = '{"a":' * 50_000 + "1" + "}" * 50_000
    for body in (
        deep,
        nested,
        f'{{"metadata":{{"name":"deep","annotations":{deep}}}}}',
        f'{{"metadata":{{"name":"deep"}},"x":{nested}}}',
    ):
        for content in ("application/json", "application/yaml"):
            refused(mallory.send("POST", path, body, content), 400, 413, 415, 422)
    refused(mallory.send("POST", path, "a: &a [*a]\n", "application/yaml"), 400, 422)
    laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    refused(mallory.send("POST", path, laughs, "application/yaml"), 400, 413, 422)
    mallory.create(path, config_map("patched"))
    steps = [{"op": "copy", "from": "/metadata", "path": f"/metadata/annotations/a{n}"} for n in range(20_000)]
    refused(mallory.send("PATCH", f"{path}/patched", steps, JSON_PATCH), 400, 413, 422)
    doubling = [{"op": "add", "path": "/data", "value": {"a": "x" * 1000}}]
    doubling += [{"op": "copy", "from": "/data", "path": f"/data/d{n}"} for n in range(40)]
    refused(mallory.send("PATCH", f"{path}/patched", doubling, JSON_PATCH), 400, 413, 422)
    refused(mallory.send("PATCH", f"{path}/patched?fieldManager=x", nested, APPLY), 400, 413, 422)


def test_packed_bodies(arena: Arena) -> None:
    """A body that says it is compressed is not unpacked past what a body may be."""
    packed = gzip.compress(json.dumps(config_map("packed", value="x" * (64 << 20))).encode(), 9)
    answer = arena.mallory.send("POST", arena.attacker.at("configmaps"), packed, headers={"Content-Encoding": "gzip"})
    refused(answer, 400, 413, 415)


def test_selectors_and_queries_that_are_long_or_hard(arena: Arena) -> None:
    """Large sets, many requirements and texts on which expressions backtrack are decided soon, or refused."""
    mallory, path = arena.mallory, arena.attacker.at("pods")
    evil = (
        "a" * 60_000,
        "a," * 20_000,
        "((((" * 5_000,
        "a in (" + "b," * 20_000,
        "!" * 30_000,
        "a=" + "-" * 50_000,
        "x" * 30_000 + "!",
    )
    for text in evil:
        for name in ("labelSelector", "fieldSelector", "continue", "resourceVersion", "limit"):
            query: dict[str, Any] = {name: text}
            answer = mallory.send("GET", path, **query)
            assert answer.code in (200, 400, 410, 414, 422, 431), answer.code
    for value in ("1e400", "9" * 500, "9223372036854775808", "-1", "0x10", "NaN", "\u0661"):
        for name in ("limit", "resourceVersion", "timeoutSeconds"):
            query = {name: value}
            answer = mallory.send("GET", path, **query)
            assert answer.code in (200, 400, 422, 504) or (answer.code, name) == (410, "resourceVersion"), (
                name,
                value,
                answer.text,
            )
    hard = "a" * 50_000 + "!"
    for name in (hard, "a-" * 20_000, "." * 50_000):
        refused(mallory.send("POST", arena.attacker.at("configmaps"), config_map(name)), 400, 422)
    labels = {"metadata": {"name": "labelled", "labels": {f"k{n}": "v" * 63 for n in range(20_000)}}}
    assert mallory.send("POST", arena.attacker.at("configmaps"), labels).code in (201, 413, 422)
    quantities = pod("quantity")
    quantities["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1" * 100_000}}
    refused(mallory.send("POST", path, quantities), 400, 422)
    accept = ", ".join(f"application/x{n};q=0.{n}" for n in range(2_000))
    assert mallory.send("GET", path, headers={"Accept": accept}).code in (406, 431)


def test_many_and_long_headers(arena: Arena) -> None:
    """More than a request may bring along is refused, and the connection with it."""
    path = arena.attacker.at("pods")
    for lines in (
        [f"X-{number}: {'y' * 1000}" for number in range(2_000)],
        ["X: " + "y" * (4 << 20)],
        ["Authorization: Bearer " + "y" * (1 << 20)],
    ):
        answer = arena.mallory.raw(_head(arena, path, *lines, "Content-Length: 0", "Connection: close"), seconds=15)
        assert answer == b"" or answer.split(b" ", 2)[1] in (b"400", b"401", b"413", b"431"), answer[:200]


def test_many_watches_and_slow_requests(arena: Arena) -> None:
    """Watches that nobody reads and requests that never end hold nobody up."""
    path, victim = arena.attacker.at("pods"), arena.victim
    with ExitStack() as held:
        for number in range(60):
            connection = held.enter_context(arena.mallory.connect())
            head = f"Host: x\r\nAuthorization: Bearer {arena.mallory.token}\r\n"
            if number % 3 == 0:
                connection.sendall(f"GET {path}?watch=1 HTTP/1.1\r\n{head}\r\n".encode())
            elif number % 3 == 1:
                connection.sendall(f"GET {path} HTTP/1.1\r\n{head}X-Slow: ".encode())
            else:
                connection.sendall(f"POST {path} HTTP/1.1\r\n{head}Content-Length: 1000\r\n\r\n{{".encode())
        begun = time.monotonic()
        for number in range(20):
            victim.caller.create(victim.at("configmaps"), config_map(f"meanwhile-{number}"))
        assert time.monotonic() - begun < SOON


def test_a_flood_of_one_tenant(arena: Arena) -> None:
    """Its requests wait for each other, or are told to come back; the victim's do not."""
    mallory, victim = arena.mallory, arena.victim
    with ThreadPoolExecutor(40) as many:
        flood = [many.submit(mallory.send, "GET", arena.attacker.at("configmaps")) for _ in range(200)]
        begun = time.monotonic()
        for _ in range(10):
            assert victim.caller.send("GET", victim.at("secrets", "db")).code == 200
        assert time.monotonic() - begun < SOON
        codes = {each.result().code for each in flood}
    assert codes <= {200, 429}, codes


async def test_the_audit_goes_on(arena: Arena) -> None:
    """Names that no text in the database can hold, of whoever has a token, stop no later row."""
    mallory, victim = arena.mallory, arena.victim
    for name in ("%00", "a%00b", "%ED%A0%80", "%FF", "x" * 5000, "%0A%1B[2J"):
        mallory.send("GET", victim.at("secrets", name))
        mallory.send("GET", f"/apis/moorage.io/v1/namespaces/{victim.namespace}/secrets/{name}/history")
        mallory.send("POST", victim.at("secrets"), {"metadata": {"name": name.replace("%00", "\u0000")}})
    marker = f"after-{arena.attacker.tenant}"
    mallory.send("GET", victim.at("secrets", marker))

    def told() -> bool:
        return bool(arena.admin.get("/apis/moorage.io/v1/audit", name=marker)["items"])

    await until(told)


def test_exec_and_log_of_nothing(arena: Arena) -> None:
    """Streams of pods that run nowhere end at once."""
    arena.mallory.send("POST", arena.attacker.at("pods"), pod("idle"))
    begun = time.monotonic()
    for what in ("log?follow=true", "exec?command=id", "attach", "portforward?ports=1"):
        answer = arena.mallory.send("GET", f"{arena.attacker.at('pods', 'idle')}/{what}")
        assert answer.code in (400, 403, 404, 409, 503) or (answer.code, answer.text) == (200, ""), answer.text
    assert time.monotonic() - begun < SOON
