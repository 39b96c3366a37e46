"""The event recorder, in virtual time."""

from __future__ import annotations

import asyncio
from typing import cast

from moorage.client.api import ApiClient
from moorage.client.errors import Forbidden, NotFound
from moorage.client.events import BURST, EventRecorder
from tests.support import virtual
from tests.unit.client.fakes import BatchServer

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "team", "name": "web", "uid": "u1"}}


def _recorder(server: BatchServer) -> EventRecorder:
    client = cast(ApiClient, server)
    return EventRecorder(client, "tester", host="here", clock=lambda: 1e9 + asyncio.get_running_loop().time())


def test_an_event_has_the_shape_that_kubectl_shows() -> None:
    async def main() -> None:
        server = BatchServer()
        recorder = _recorder(server)
        recorder.record(POD, "Normal", "Scheduled", "Successfully assigned team/web to n1")
        await recorder.flush()
        ((operation,),) = server.batches
        event = operation["object"]
        assert operation["verb"] == "create"
        assert event["metadata"]["namespace"] == "team"
        assert event["metadata"]["name"].startswith("web.")
        assert event["involvedObject"] == {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "team",
            "name": "web",
            "uid": "u1",
        }
        assert event["source"] == {"component": "tester", "host": "here"}
        assert (event["type"], event["reason"], event["count"]) == ("Normal", "Scheduled", 1)
        assert event["firstTimestamp"] == event["lastTimestamp"] == "2001-09-09T01:46:40Z"

    virtual.run(main())


def test_a_repeated_event_is_counted_up() -> None:
    async def main() -> None:
        server = BatchServer()
        recorder = _recorder(server)
        recorder.record(POD, "Warning", "BackOff", "again")
        await recorder.flush()
        for _ in range(3):
            await asyncio.sleep(10)
            recorder.record(POD, "Warning", "BackOff", "again")
        await recorder.flush()
        (patch,) = server.batches[1]
        assert patch["verb"] == "patch"
        assert patch["patch"] == {"count": 4, "lastTimestamp": "2001-09-09T01:47:10Z"}

    virtual.run(main())


def test_events_that_come_together_are_written_together() -> None:
    async def main() -> None:
        server = BatchServer()
        recorder = _recorder(server)
        running = asyncio.ensure_future(recorder.run())
        for number in range(20):
            recorder.record(POD, "Normal", "Made", f"number {number}")
        await asyncio.sleep(5)
        running.cancel()
        assert [len(batch) for batch in server.batches] == [20]

    virtual.run(main())


def test_an_expired_event_is_made_anew() -> None:
    async def main() -> None:
        server = BatchServer()
        recorder = _recorder(server)
        recorder.record(POD, "Warning", "BackOff", "again")
        await recorder.flush()
        server.refuse["patch"] = NotFound(404, {"message": "expired"})
        recorder.record(POD, "Warning", "BackOff", "again")
        await recorder.flush()
        assert [batch[0]["verb"] for batch in server.batches] == ["create", "patch", "create"]
        assert server.batches[2][0]["object"]["count"] == 2

    virtual.run(main())


def test_one_noisy_object_is_throttled_and_others_are_not() -> None:
    async def main() -> None:
        server = BatchServer()
        recorder = _recorder(server)
        for number in range(100):
            recorder.record(POD, "Warning", "Noise", f"{number}")
        other = {**POD, "metadata": {**POD["metadata"], "uid": "u2", "name": "other"}}  # type: ignore[dict-item]
        recorder.record(other, "Normal", "Fine", "heard")
        await recorder.flush()
        written = [operation["object"]["involvedObject"]["uid"] for operation in server.batches[0]]
        assert written.count("u1") == int(BURST)
        assert written.count("u2") == 1
        assert recorder.dropped == 100 - int(BURST)

    virtual.run(main())


def test_refused_events_are_dropped_and_those_of_an_outage_are_written_after_it() -> None:
    async def main() -> None:
        server = BatchServer()
        recorder = _recorder(server)
        running = asyncio.ensure_future(recorder.run())
        server.refuse["create"] = Forbidden(403, {"message": "the namespace is going"})
        recorder.record(POD, "Normal", "One", "refused")
        await asyncio.sleep(1)
        server.down = True
        recorder.record(POD, "Normal", "Two", "kept")
        await asyncio.sleep(1)
        server.down = False
        server.refuse.clear()
        recorder.record(POD, "Normal", "Three", "written")
        await asyncio.sleep(1)
        running.cancel()
        assert recorder.dropped == 1
        assert [operation["object"]["reason"] for operation in server.batches[-1]] == ["Two", "Three"]

    virtual.run(main())


def test_a_right_that_is_given_late_loses_no_event_and_one_that_never_comes_loses_them_all() -> None:
    async def main() -> None:
        server = BatchServer()
        recorder = _recorder(server)
        running = asyncio.ensure_future(recorder.run())
        server.forbidden = True
        recorder.record(POD, "Normal", "One", "early")
        await asyncio.sleep(5)
        server.forbidden = False
        await asyncio.sleep(1)
        assert [operation["object"]["reason"] for operation in server.batches[-1]] == ["One"]
        server.forbidden = True
        recorder.record(POD, "Normal", "Two", "never")
        await asyncio.sleep(5)
        assert recorder.dropped == 0
        await asyncio.sleep(10)
        running.cancel()
        assert recorder.dropped == 1

    virtual.run(main())
