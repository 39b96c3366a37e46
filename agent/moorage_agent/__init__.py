"""A node: runs the pods bound to it on a container engine, and reports what they do.

Lives here: pod workers, the engine contract with its Docker and fake implementations, volumes, probes, status, logs tunnel.
Dials the API server; nothing dials it.
"""

import asyncio

from moorage_agent.options import AgentOptions

__all__ = ["AgentOptions", "run"]

THREADS = 4
"""Made at the start: a machine whose process ids have run out has none for later."""


async def run(options: AgentOptions) -> None:
    """Run a node's agent until cancelled. Its pods go on when it ends, and the next run finds them again.

    Raises ``moorage_agent.identity.IdentityError``, ``moorage.client.join.JoinTokenError``, ValueError and OSError where it
    cannot start; everything after that is tried again.
    """
    from moorage_agent import threads
    from moorage_agent.agent import Agent  # importing the options costs nothing more

    asyncio.get_running_loop().set_default_executor(threads.pool(THREADS, "agent"))
    await Agent(options).run()
