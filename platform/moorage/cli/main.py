"""The command ``moorage``: its groups, and how errors are shown."""

from __future__ import annotations

import sys

import typer

from moorage.cli import audit, installation, login, parts, secrets, teams, tenants, tokens

app = typer.Typer(
    name="moorage",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Push to deploy, for many teams, on your own machines.\n\n"
    "Start a platform on this machine:\n\n"
    "  moorage up --detach\n\n"
    "  export KUBECONFIG=$(moorage kubeconfig --path)\n\n"
    "  kubectl get nodes\n\n"
    "Give a team a place and deploy by git push:\n\n"
    "  moorage teams create blue\n\n"
    "  git push https://HOST:PORT/git/blue/app.git main",
)
installation.register(app)
parts.register(app)
login.register(app)
app.add_typer(tokens.app, name="tokens")
app.add_typer(teams.app, name="teams")
app.add_typer(tenants.app, name="tenants")
app.add_typer(secrets.app, name="secrets")
app.add_typer(audit.app, name="audit")


def main() -> None:
    """Run a command. Expected failures are one sentence on stderr and exit code 1."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
