"""Lets pods' packets pass where the machine's own rules forward nothing (Docker sets that policy). Blocking.

A packet that one table accepts may still be dropped by another; only a rule in that other table helps. Ours are three in the
chain FORWARD, by the names of our interfaces and by the mark of what we lead from outside to other nodes; they go with the
installation.
"""

from __future__ import annotations

import logging
import shutil
import subprocess

from moorage_agent.network.names import Names
from moorage_agent.network.rules.base import MASQUERADE

log = logging.getLogger(__name__)


def _rules(names: Names) -> list[list[str]]:
    comment = ["-m", "comment", "--comment", names.table]
    ways = [["-i", f"{names.pods}+"], ["-o", f"{names.pods}+"]]
    if names.tunnel:
        # From outside, by this node, to a pod of another one: through none of our pods' interfaces.
        ways.append(["-m", "connmark", "--mark", f"{MASQUERADE:#x}/{MASQUERADE:#x}"])
    return [["FORWARD", *way, *comment, "-j", "ACCEPT"] for way in ways]


def _iptables(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["iptables", "-w", "5", *arguments], capture_output=True, text=True, check=False, timeout=30)


def allow(names: Names) -> None:
    """Have the rules first in their chain, where the chain refuses anything at all."""
    if shutil.which("iptables") is None:
        return
    listed = _iptables("-S", "FORWARD")
    if listed.returncode or listed.stdout.strip() in ("", "-P FORWARD ACCEPT"):
        return
    for rule in _rules(names):
        if _iptables("-C", *rule).returncode == 0:
            continue
        done = _iptables("-I", rule[0], "1", *rule[1:])
        if done.returncode:
            log.warning("pods may not reach each other: iptables: %s", done.stderr.strip())


def forbid(names: Names) -> None:
    """Remove the rules."""
    if shutil.which("iptables") is not None:
        for rule in _rules(names):
            _iptables("-D", *rule)
