"""What is told of a program that cannot be started, where variables stand in its command."""

from __future__ import annotations

from typing import Any

import pytest

from moorage_agent.pods import redaction

ENGINE = (
    'OCI runtime create failed: runc create failed: unable to start container process: exec: "/opt/{0}": '
    "stat /opt/{0}: no such file or directory: unknown"
)


@pytest.mark.parametrize("field", ["command", "args"])
def test_values_of_variables_are_not_told(field: str) -> None:
    container: dict[str, Any] = {field: ["/opt/$(PASSWORD)", "-v"]}
    assert (
        redaction.told(ENGINE.format("hunter2"), container)
        == "cannot start /opt/$(PASSWORD) -v: no such file or directory"
    )
    told = redaction.told("words that nobody knows: hunter2", container)
    assert "hunter2" not in told
    assert "are not shown, as variables stand in the command" in told


def test_other_commands_are_told_as_the_engine_says_it() -> None:
    message = ENGINE.format("run")
    for container in ({}, {"command": ["/opt/run"], "args": ["$HOME", "100$"]}):
        assert redaction.told(message, container) == message
    assert redaction.told("", {"command": ["$(A)"]}) == ""
