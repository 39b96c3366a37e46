"""The environment of every Git process: built from nothing, never inherited."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from moorage_gitops.host.config import GitLimits

# Old histories break these formal rules without harm; every other finding of fsck refuses the pack.
_TOLERATED = ("badTimezone", "missingSpaceBeforeDate", "zeroPaddedFilemode")


def settings(hooks: Path, limits: GitLimits) -> dict[str, str]:
    """Git's configuration, whole: system, global and repository files have no say in it."""
    return {
        "core.hooksPath": str(hooks),
        "core.fsync": "committed",
        "core.fsyncMethod": "fsync",
        "core.logAllRefUpdates": "false",
        "core.protectHFS": "true",
        "core.protectNTFS": "true",
        # Blobs past this size are streamed, never held in memory.
        "core.bigFileThreshold": "8m",
        "pack.threads": "1",
        "pack.windowMemory": "64m",
        "gc.auto": "0",
        "maintenance.auto": "false",
        "protocol.allow": "never",
        "submodule.recurse": "false",
        "advice.detachedHead": "false",
        "init.defaultBranch": "main",
        "receive.fsckObjects": "true",
        **{f"receive.fsck.{rule}": "warn" for rule in _TOLERATED},
        "receive.maxInputSize": str(limits.pack_bytes),
        # One pack per push: two files to make durable instead of one for each object.
        "receive.unpackLimit": "1",
        "receive.autogc": "false",
        "receive.updateServerInfo": "false",
        "receive.advertisePushOptions": "true",
        "receive.advertiseAtomic": "true",
        # Every ref goes through proc-receive, because the ref row, not the file, is the truth.
        "receive.procReceiveRefs": "refs",
        "receive.denyDeletes": "false",
        "receive.denyNonFastForwards": "false",
        "receive.denyDeleteCurrent": "refuse",
        "receive.shallowUpdate": "false",
        "uploadpack.allowFilter": "true",
        "uploadpack.allowAnySHA1InWant": "false",
        "http.receivepack": "true",
        "transfer.advertiseSID": "false",
    }


def environment(home: Path, configuration: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """The variables of a Git process; ``extra`` is added (GIT_PROTOCOL, quarantine paths)."""
    variables = {
        "PATH": os.defpath + ":/usr/local/bin",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": str(len(configuration)),
    }
    for index, (key, value) in enumerate(configuration.items()):
        variables[f"GIT_CONFIG_KEY_{index}"] = key
        variables[f"GIT_CONFIG_VALUE_{index}"] = value
    return variables | dict(extra)
