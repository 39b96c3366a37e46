"""Where an installation's pods and Services get their addresses: chosen once, free on this machine, kept in the data directory.

Two installations on one machine share its routes, so that equal ranges would lead pods of the one to Services of the other.
What an installation has is told to others by a file of the machine; a directory that is gone has nothing any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NamedTuple

from moorage.supervisor.addresses import host_addresses
from moorage.supervisor.layout import Layout, SetupError, write_private

POD_RANGE, SERVICE_RANGE = "10.244.0.0/16", "10.96.0.0/16"
"""What an installation that is alone gets: the ranges that most clusters have."""
LEAST_ADDRESSES = 256
MACHINE = Path("/run/moorage/ranges.json")
ROUTES, RESOLV_CONF = Path("/proc/net/route"), Path("/etc/resolv.conf")
_PODS = (POD_RANGE, *(f"10.{number}.0.0/16" for number in range(128, 255) if number != 244))
_SERVICES = (SERVICE_RANGE, *(f"10.{number}.0.0/16" for number in range(64, 128) if number != 96))


class Ranges(NamedTuple):
    """Networks in CIDR form."""

    pods: str
    services: str


def network(text: str, option: str, least: int = LEAST_ADDRESSES) -> IPv4Network:
    """The network that ``option`` was given. Raises SetupError."""
    try:
        found = IPv4Network(text)
    except ValueError as error:
        raise SetupError(f"{option} {text}: {error}; give an IPv4 network such as {POD_RANGE}") from None
    if found.num_addresses < least:
        raise SetupError(f"{option} {text}: is too small; give a network of at least {least} addresses")
    return found


def ensure(layout: Layout, pods: str = "", services: str = "", machine: Path = MACHINE) -> Ranges:
    """The installation's ranges: those that it has, else those asked for, else free ones. Raises SetupError."""
    known = _own(layout.network)
    with _shared(machine) as claims:
        if known is not None:
            _same(known.pods, pods, "--pod-cidr")
            _same(known.services, services, "--service-cidr")
            found = known
        elif (layout.root / "postgres").exists() and not (pods or services):
            found = Ranges(POD_RANGE, SERVICE_RANGE)  # it was made before ranges were chosen
        else:
            here = [IPv4Network(each) for each in host_addresses()]
            taken = [*here, *routed(_read(ROUTES)), *resolvers(_read(RESOLV_CONF)), *_claimed(claims, layout)]
            found = choose(taken, pods, services)
        if found != known:
            write_private(layout.network, json.dumps(found._asdict()))
        claims[str(layout.network)] = list(found)
    return found


def choose(taken: Iterable[IPv4Network], pods: str = "", services: str = "") -> Ranges:
    """Ranges that meet none of ``taken`` nor each other; what is given stays. Raises SetupError."""
    avoided = [*taken, *(IPv4Network(each) for each in (pods, services) if each)]
    if pods and services and IPv4Network(pods).overlaps(IPv4Network(services)):
        raise SetupError(f"--pod-cidr {pods} and --service-cidr {services} overlap; give two networks that do not")
    return Ranges(pods or _free(_PODS, avoided, "--pod-cidr"), services or _free(_SERVICES, avoided, "--service-cidr"))


def routed(table: str) -> list[IPv4Network]:
    """Networks that the machine has routes to (``/proc/net/route``: hexadecimal, in the machine's byte order)."""
    found = []
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[7] != "00000000":
            address, mask = (IPv4Address(struct.pack("=I", int(words[index], 16))) for index in (1, 7))
            found.append(IPv4Network(f"{address}/{mask}"))
    return found


def resolvers(text: str) -> list[IPv4Network]:
    """Servers of names, which a default route leads to (resolv.conf(5))."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            with contextlib.suppress(ValueError):
                found.append(IPv4Network(words[1]))
    return found


def _free(candidates: Sequence[str], taken: Sequence[IPv4Network], option: str) -> str:
    for text in candidates:
        if not any(IPv4Network(text).overlaps(each) for each in taken):
            return text
    raise SetupError(f"this machine has routes to every network that could be chosen; name a free one with {option}")


def _same(known: str, asked: str, option: str) -> None:
    if asked and asked != known:
        raise SetupError(
            f"{option} {asked}: the installation has {known}, which cannot be changed; leave the option out"
        )


def _own(file: Path) -> Ranges | None:
    try:
        return Ranges(**json.loads(file.read_text("ascii")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SetupError(f"{file} cannot be read: {error}") from None


def _claimed(claims: dict[str, list[str]], layout: Layout) -> list[IPv4Network]:
    return [IPv4Network(text) for owner, each in claims.items() if owner != str(layout.network) for text in each]


def _read(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except OSError:
        return ""


@contextlib.contextmanager
def _shared(machine: Path) -> Iterator[dict[str, list[str]]]:
    """What all installations of this machine have, changed while nobody else does. Who may not write there has no network of
    pods either: only root makes one.
    """
    try:
        machine.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(machine, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError:
        yield {}
        return
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        claims = _living(file.read())
        yield claims
        file.seek(0)
        file.truncate()
        json.dump(claims, file)


def _living(text: str) -> dict[str, list[str]]:
    """The claims of installations that are still there."""
    try:
        known = json.loads(text or "{}")
        claims = {str(owner): [str(IPv4Network(each)) for each in ranges] for owner, ranges in known.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
    return {owner: ranges for owner, ranges in claims.items() if Path(owner).exists()}
