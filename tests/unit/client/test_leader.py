"""Leader election by a Lease, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from moorage.client.api import ApiClient
from moorage.client.leader import LeaderElector, LeadershipLost, Timing
from tests.support import virtual
from tests.unit.client.fakes import LeaseServer


def _elector(server: LeaseServer, identity: str) -> LeaderElector:
    client = cast(ApiClient, server)
    return LeaderElector(client, "test", identity, clock=lambda: 1e9 + asyncio.get_running_loop().time())


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _stop(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_only_one_leads_and_the_other_takes_over_when_it_is_released() -> None:
    async def main() -> None:
        server = LeaseServer()
        one, two = _elector(server, "one"), _elector(server, "two")
        first = asyncio.ensure_future(one.run(_forever))
        await asyncio.sleep(1)
        second = asyncio.ensure_future(two.run(_forever))
        await asyncio.sleep(100)
        assert (one.leading, two.leading) == (True, False)
        assert two.leader == "one"
        await _stop(first)
        assert server.lease is not None
        assert server.lease["spec"]["holderIdentity"] == ""
        await asyncio.sleep(3)
        assert (one.leading, two.leading) == (False, True)
        assert server.lease["spec"]["leaseTransitions"] == 1
        await _stop(second)

    virtual.run(main())


def test_a_dead_leader_is_waited_out_by_the_candidates_own_clock() -> None:
    async def main() -> None:
        server = LeaseServer()
        spec = {"holderIdentity": "dead", "leaseDurationSeconds": 15, "renewTime": "2099-01-01T00:00:00.000000Z"}
        server.lease = {"metadata": {"name": "test", "resourceVersion": "0"}, "spec": spec}
        elector = _elector(server, "one")
        running = asyncio.ensure_future(elector.run(_forever))
        await asyncio.sleep(14)
        assert not elector.leading
        await asyncio.sleep(3)
        assert elector.leading
        await _stop(running)

    virtual.run(main())


def test_the_same_identity_carries_on_at_once_after_a_crash() -> None:
    async def main() -> None:
        server = LeaseServer()
        spec = {"holderIdentity": "one", "leaseDurationSeconds": 15, "renewTime": "2099-01-01T00:00:00.000000Z"}
        server.lease = {"metadata": {"name": "test", "resourceVersion": "0"}, "spec": spec}
        elector = _elector(server, "one")
        running = asyncio.ensure_future(elector.run(_forever))
        await asyncio.sleep(0.1)
        assert elector.leading
        await _stop(running)

    virtual.run(main())


def test_a_leader_that_cannot_renew_stops_before_others_may_take_over() -> None:
    async def main() -> None:
        server = LeaseServer()
        timing = Timing()
        stopped: list[float] = []

        async def lead() -> None:
            try:
                await _forever()
            finally:
                stopped.append(_now())

        elector = _elector(server, "one")
        running = asyncio.ensure_future(elector.run(lead))
        await asyncio.sleep(21)
        server.down = True
        went_down = _now()
        with pytest.raises(LeadershipLost):
            await running
        assert stopped[0] <= went_down + timing.renew_deadline
        assert timing.renew_deadline + timing.retry < timing.duration

    virtual.run(main())


def test_a_usurped_leader_stops() -> None:
    async def main() -> None:
        server = LeaseServer()
        elector = _elector(server, "one")
        running = asyncio.ensure_future(elector.run(_forever))
        await asyncio.sleep(5)
        assert server.lease is not None
        server.lease["spec"].update(holderIdentity="two", renewTime="later")
        server.lease["metadata"]["resourceVersion"] = "99"
        with pytest.raises(LeadershipLost):
            await running
        assert server.lease["spec"]["holderIdentity"] == "two"

    virtual.run(main())


def test_the_end_of_the_work_is_the_end_and_its_error_is_raised() -> None:
    async def fails() -> None:
        await asyncio.sleep(1)
        raise ZeroDivisionError

    async def main() -> None:
        server = LeaseServer()
        with pytest.raises(ZeroDivisionError):
            await _elector(server, "one").run(fails)
        assert server.lease is not None
        assert server.lease["spec"]["holderIdentity"] == ""

    virtual.run(main())


def test_timings_that_cannot_be_safe_are_refused() -> None:
    with pytest.raises(ValueError, match="duration > renew_deadline > retry"):
        Timing(duration=10, renew_deadline=10, retry=2)
