"""``moorage tenants``: make tenants, look at what they have and use, invite people, end them and take that back."""

from __future__ import annotations

import typer

from moorage.cli.tenants import ending, looking, making, people

app = typer.Typer(
    no_args_is_help=True,
    help="Tenants: a team's people, its namespaces, and what they may use together.\n\n"
    "An administrator makes a tenant; its owners make namespaces (kubectl create namespace) and invite members. "
    "Everything here works with any kubeconfig: as far as its user may.",
    epilog="Example: moorage tenants create blue --owner alice --quota cpu=8,memory=16Gi --namespaces 5",
)
for module in (making, looking, people, ending):
    module.register(app)
