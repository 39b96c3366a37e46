"""``moorage secrets``: set, read, seal, rotate and find secrets. No command takes or prints a value by accident."""

from __future__ import annotations

import typer

from moorage.cli.secrets.editing import register as _editing
from moorage.cli.secrets.keys import register as _keys
from moorage.cli.secrets.past import register as _past
from moorage.cli.secrets.reading import register as _reading
from moorage.cli.secrets.scanning import register as _scanning
from moorage.cli.secrets.sealing import register as _sealing
from moorage.cli.secrets.writing import register as _writing

app = typer.Typer(
    no_args_is_help=True,
    help="Secrets: set them, read them, seal them for Git, rotate their keys, find those that lie around.\n\n"
    "Values come from a prompt, a pipe or a file, never from an argument, and are shown only with --reveal or --out.",
    epilog="Example: moorage secrets set db password -n blue",
)
for register in (_writing, _reading, _editing, _past, _keys, _sealing, _scanning):
    register(app)
