"""Which server holds a node's tunnel, with a lease: another server forwards there."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.store.database import Readers

HOLD = """
INSERT INTO node_tunnels (node, server, address, expires_at)
VALUES (%s, %s, %s, clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (node) DO UPDATE SET server = excluded.server, address = excluded.address, expires_at = excluded.expires_at
"""
RENEW = """
UPDATE node_tunnels SET expires_at = clock_timestamp() + make_interval(secs => %s) WHERE node = %s AND server = %s
"""
RELEASE = "DELETE FROM node_tunnels WHERE node = %s AND server = %s"
FIND = "SELECT server, address FROM node_tunnels WHERE node = %s AND expires_at > clock_timestamp()"


@dataclass(frozen=True, slots=True)
class TunnelHolder:
    """The server at whose end a node's tunnel is, and the address where other servers reach it."""

    server: str
    address: str


class NodeTunnels:
    """Table ``node_tunnels``. Methods raise Unavailable."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def hold(self, node: str, server: str, address: str, seconds: float) -> None:
        """The node's newest tunnel ends at ``server`` now; an older one elsewhere is void."""
        await self._readers.execute(HOLD, (node, server, address, float(seconds)))

    async def renew(self, node: str, server: str, seconds: float) -> bool:
        """Prolong the lease; False where another server holds the tunnel now."""
        return await self._readers.execute(RENEW, (float(seconds), node, server)) > 0

    async def release(self, node: str, server: str) -> None:
        """The tunnel is closed; one that another server holds is left alone."""
        await self._readers.execute(RELEASE, (node, server))

    async def find(self, node: str) -> TunnelHolder | None:
        """Who holds the node's tunnel; None where nobody does or the lease ran out."""
        found = await self._readers.fetch(FIND, (node,))
        return TunnelHolder(*found[0]) if found else None
