"""Help of ``moorage secrets``: every command says what it does, every option what it means, and there is an example to copy."""

from __future__ import annotations

import re
import shlex

import pytest
import typer
from click.testing import CliRunner

from moorage.cli.main import app

GROUP = typer.main.get_command(app).commands["secrets"]  # type: ignore[attr-defined]  # a group, to click
COMMANDS = (
    *("set", "get", "list", "edit", "copy", "import", "export", "history", "rollback"),
    *("rotate-keys", "public-key", "seal", "unseal", "scan"),
)


def test_these_are_the_commands() -> None:
    assert set(GROUP.commands) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches(name: str) -> None:
    command = GROUP.commands[name]
    assert command.help
    assert all(getattr(parameter, "help", None) for parameter in command.params), [each.name for each in command.params]
    shown = CliRunner().invoke(GROUP, [name, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    examples = [part for part in (command.epilog or "").split("|") if "moorage secrets" in part]
    assert examples
    for example in examples:
        words = shlex.split(re.split(r"Examples?: |\\. ", example)[-1].partition(". ")[0])
        assert words[words.index("secrets") + 1] == name, example
        named = {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)}
        assert named <= options, f"{example}: {named - options}"
