"""What a decision costs with 10,000 bindings: ``python -m tests.bench.authorise``. Prints a table and asserts nothing.

The time is this process' own (CPU): nothing here waits, and the machine may be busy with other things.
"""

from __future__ import annotations

import asyncio
import time

from moorage.api.contracts import Attributes, Identity
from moorage.resources.builtin import builtin_registry
from moorage_tenants.authorisation.defaults import default_documents
from tests.unit.tenants.authorisation.town import Town

BINDINGS, NAMESPACES, USERS, GROUPS = 10_000, 1_000, 2_000, 500
ROLES = ("view", "edit", "admin")


def _binding(number: int) -> dict[str, object]:
    return {
        "kind": "RoleBinding",
        "metadata": {"name": f"b{number}", "namespace": f"n{number % NAMESPACES}"},
        "roleRef": {"kind": "ClusterRole", "name": ROLES[number % len(ROLES)]},
        "subjects": [
            {"kind": "User", "name": f"u{number % USERS}"},
            {"kind": "Group", "name": f"g{number % GROUPS}"},
        ],
    }


async def _measure() -> None:
    town = Town()
    town.put(*default_documents(builtin_registry()), *(_binding(number) for number in range(BINDINGS)))
    await town.index.look()
    people = [Identity(f"u{n}", frozenset({f"g{n % GROUPS}", "system:authenticated"})) for n in range(USERS)]
    for what in ("asked for the first time", "asked again"):
        begun = time.process_time()
        for number, identity in enumerate(people):
            asked = Attributes(identity, "get", "", "pods", "", f"n{number % NAMESPACES}", "x")
            await town.authorizer.authorise(asked)
        print(f"{what:26} {(time.process_time() - begun) / USERS * 1e6:6.1f} us a decision")


if __name__ == "__main__":
    asyncio.run(_measure())
