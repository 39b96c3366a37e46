"""Nobody may what is not written down, and refusals say nothing of what is there. A new endpoint without a row fails here.

What to do then: write the row into ``table`` (and, for a new kind, an object of it into ``objects``), as it should be; see
docs/adding-a-kind.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator

import pytest

from tests.integration.authorisation.matrix import endpoints, table
from tests.integration.authorisation.matrix.conftest import Served
from tests.integration.authorisation.matrix.endpoints import Call
from tests.integration.authorisation.matrix.objects import ABSENT, names, unknown
from tests.integration.authorisation.matrix.people import COLUMNS, PEOPLE, TENANT_S, credentials
from tests.support.asgi import Answer

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 16
MERGE = {"content-type": "application/merge-patch+json"}
STRANGERS = ("", "forged")


async def gathered(works: Iterable[Awaitable[list[str]]]) -> list[str]:
    """What is wrong, of some checks at once."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(work: Awaitable[list[str]]) -> list[str]:
        async with turn:
            return await work

    return [problem for problems in await asyncio.gather(*map(one, works)) for problem in problems]


def calls(served: Served) -> Iterator[Call]:
    for kind in served.app.service.registry:
        yield from endpoints.resource_calls(kind)


async def send(served: Served, call: Call, who: str, *, absent: bool = False) -> Answer:
    headers = {**credentials(who), **(MERGE if call.method == "PATCH" else {})}
    target, body = (call.absent, call.absent_body) if absent else (call.there, call.body)
    return await served.asgi.request(call.method, target, body, headers)


def refused(answer: Answer, who: str) -> bool:
    """Whether it was authorisation that refused; admission has other words."""
    return answer.code == 403 and answer.message.find(f'User "{PEOPLE[who].name}" cannot ') >= 0


def anonymised(answer: Answer, *called: str) -> bytes:
    """The answer without the names that it was asked for."""
    body = answer.body
    for name in (*called, "there", ABSENT):
        body = body.replace(name.encode(), b"NAME")
    return body


async def test_every_endpoint_has_a_row(served: Served) -> None:
    registry = served.app.service.registry
    assert unknown(registry) == [], "write an object of each of these kinds into objects.py"
    found = {call.resource for call in calls(served)}
    assert found - set(table.rows()) == set(), "write rows for these resources into table.py: who may do what?"
    assert set(table.rows()) - found == set(), "these rows are about nothing that is served"
    paths = set(endpoints.paths(served.app))
    assert paths - set(table.paths()) == set(), "write rows for these paths into table.py"
    assert set(table.paths()) - paths == set(), "these rows are about nothing that is served"
    assert set(endpoints.sockets(served.app)) == set(table.sockets())


async def test_every_letter_is_about_a_verb_that_is_served(served: Served) -> None:
    served_letters: dict[str, set[str]] = {}
    for call in calls(served):
        served_letters.setdefault(call.resource, set()).add(call.letter)
    stale = {
        (resource, column): set(letters) - served_letters[resource]
        for resource, row in table.rows().items()
        if resource in served_letters
        for column, letters in row.items()
        if set(letters) - served_letters[resource]
    }
    assert stale == {}


async def test_strangers_may_nothing(served: Served) -> None:
    async def check(call: Call, who: str) -> list[str]:
        there, absent = await send(served, call, who), await send(served, call, who, absent=True)
        same = (there.code, there.body) == (absent.code, absent.body)
        return [] if there.code == 401 and same else [f"{who or 'nobody'} {call.method} {call.there}: {there.code}"]

    assert await gathered(check(call, who) for call in calls(served) for who in STRANGERS) == []


@pytest.mark.parametrize("column", COLUMNS)
async def test_who_may_what(served: Served, column: str) -> None:
    rows, kinds = table.rows(), {kind.plural: kind for kind in served.app.service.registry}

    async def check(call: Call, who: str) -> list[str]:
        problem = f"{who} {call.method} {call.there}"
        there = await send(served, call, who)
        row = rows[call.resource]
        if column == "adm" or call.letter in row[column] or (who, call.resource, call.letter) in table.BESIDE:
            fails = there.code == 401 or refused(there, who)
            return [f"{problem}: is refused, and should not be: {there.message}"] if fails else []
        if call.resource in table.NARROWED and call.letter in "lw":
            shown = there.code != 200 or b'"name":"there"' in there.body
            return [f"{problem}: {there.code} shows what is not theirs"] if shown else []
        if not refused(there, who):
            return [f"{problem}: {there.code}, and should be refused: {there.message}"]
        absent = await send(served, call, who, absent=True)
        called = names(kinds[call.resource.partition("/")[0].partition(".")[0]])
        same = absent.code == 403 and anonymised(there, *called) == anonymised(absent, *called)
        return [] if same else [f"{problem}: {there.message}, but {absent.code} {absent.message} for what is not there"]

    everything = [call for call in calls(served) if call.resource in rows]
    assert await gathered(check(call, who) for call in everything for who in COLUMNS[column]) == []


def filled(path: str, name: str, namespace: str) -> str:
    """A path with its parameters; ``name`` is that of the object."""
    values = {"namespace": namespace, "name": name, "version:int": "1", "version": "v1", "group": "apps"}
    for key, value in {**values, "check": "ping", "path:path": "api/v1"}.items():
        path = path.replace(f"{{{key}}}", value)
    return path


def may(who: str, allowed: list[str]) -> bool:
    if "everybody" in allowed or (who and who in allowed):
        return True
    if who in STRANGERS:
        return False
    if who == "admin" or "known" in allowed or ("people" in allowed and not PEOPLE[who].name.startswith("system:")):
        return True
    return any(who in COLUMNS.get(column, ()) for column in allowed)


async def test_paths_that_are_no_resources(served: Served) -> None:
    body = {"spec": {"name": "t"}, "version": 1}

    async def check(method: str, path: str, who: str, allowed: list[str]) -> list[str]:
        async def ask(name: str, namespace: str = "there") -> Answer:
            sent = body if method == "POST" else None
            return await served.asgi.request(method, filled(path, name, namespace), sent, credentials(who))

        there = await ask("there")
        problem = f"{who or 'nobody'} {method} {path}: {there.code} {there.message}"
        if may(who, allowed):
            return [problem] if there.code in (401, 403) else []
        wanted = 401 if who in STRANGERS else 403
        for other in (there, await ask(ABSENT), await ask("there", ABSENT)):
            if (other.code, anonymised(other)) != (wanted, anonymised(there)):
                return [f"{problem}, but {other.code} {other.message} for what is not there"]
        return []

    found = set(endpoints.paths(served.app))
    rows = [(method, path, allowed) for (method, path), allowed in table.paths().items() if (method, path) in found]
    works = (check(*row[:2], who, row[2]) for row in rows for who in (*STRANGERS, *PEOPLE))
    assert await gathered(works) == []


async def test_sockets(served: Served) -> None:
    async def check(path: str, who: str, allowed: list[str]) -> list[str]:
        there = await served.asgi.websocket(path, credentials(who))
        if who in allowed:
            return [f"{who} {path}: {there.code}"] if there.code in (401, 403) else []
        absent = await served.asgi.websocket(f"/{ABSENT}/".join(path.rsplit("/there/", 1)), credentials(who))
        fails = there.code not in (401, 403) or absent.code != there.code
        return [f"{who or 'nobody'} {path}: {there.code}"] if fails else []

    works = (check(path, who, allowed) for path, allowed in table.sockets().items() for who in (*STRANGERS, *PEOPLE))
    assert await gathered(works) == []


async def test_whoever_acts_as_another_must_be_allowed_to(served: Served) -> None:
    """Resources, paths and mounts alike: nobody gets in by naming somebody else."""
    targets = [
        "/api/v1/namespaces/there/secrets/there",
        "/api",
        "/apis/moorage.io/v1/audit",
        "/apis/moorage.io/v1/tokens",
    ]
    targets.append("/git/there/there.git/info/refs?service=git-upload-pack")
    for who in (*STRANGERS, "nobody", "red-owner", "view", "node"):
        for target in targets:
            headers = {**credentials(who), "impersonate-user": "admin", "impersonate-group": "system:masters"}
            answer = await served.asgi.request("GET", target, None, headers)
            assert answer.code in ((401, 400) if who in STRANGERS else (403, 400)), (who, target, answer)


async def test_the_old_watch_paths_are_watches(served: Served) -> None:
    for who in ("nobody", "red-admin", "other-node"):
        for path in ("secrets", "secrets/there", f"secrets/{ABSENT}", "pods/there"):
            answer = await served.asgi.request("GET", f"/api/v1/watch/namespaces/there/{path}", None, credentials(who))
            assert refused(answer, who), (who, path, answer)


async def test_what_is_not_served_is_refused_alike(served: Served) -> None:
    for who in TENANT_S["red"]:
        for path in ("/apis/example.com/v1/things", "/api/v1/namespaces/there/pods/there/nothing", "/api/v1/widgets/x"):
            assert refused(await served.asgi.request("GET", path, None, credentials(who)), who)
    for path in ("/api/v1/widgets", "/nothing", "/debug/pprof", "/logs", "/apis/moorage.io/v1/namespaces/there/x"):
        assert (await served.asgi.request("GET", path)).code in (401, 404), path
