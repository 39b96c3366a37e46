"""``moorage secrets``: set, read, seal, rotate and find secrets. No command takes or prints a value by accident."""

from __future__ import annotations

import typer

from moorage.cli.secrets import editing, keys, past, reading, scanning, sealing, writing

app = typer.Typer(
    no_args_is_help=True,
    help="Secrets: set them, read them, seal them for Git, rotate their keys, find those that lie around.\n\n"
    "Values come from a prompt, a pipe or a file, never from an argument, and are shown only with --reveal or --out.",
    epilog="Example: moorage secrets set db password -n blue",
)
for module in (writing, reading, editing, past, keys, sealing, scanning):
    module.register(app)
