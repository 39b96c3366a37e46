"""``moorage login`` and what goes with it: ``token``, ``logout``, ``whoami``, ``git-credential``."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, ContextName, DataDir, KubeconfigFile, fail

if TYPE_CHECKING:
    from moorage.client.login.logins import Login
    from moorage.client.login.methods import Method
    from moorage.client.login.provider import Provider, Tokens

Server = Annotated[str, typer.Option("--server", envvar="MOORAGE_SERVER", help="The API server: https://HOST:PORT.")]
Issuer = Annotated[
    str, typer.Option("--issuer", help="Which of the server's identity providers, where it has several.")
]
TargetFile = Annotated[
    Path | None, typer.Option("--kubeconfig", help="The file to write to; default: the one that kubectl uses.")
]
Output = Annotated[str, typer.Option("--output", "-o", help="text, json or yaml.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        epilog="Examples: moorage login --server https://moorage.example.com:6443 --ca-hash 3f1c... | "
        "moorage login --server https://moorage.example.com:6443 --device"
    )(login)
    app.command(epilog="Example: moorage logout --server https://moorage.example.com:6443")(logout)
    app.command(epilog="Example: moorage whoami --output yaml")(whoami)
    app.command(hidden=True)(token)
    app.command(name="git-credential", hidden=True)(git_credential)


def login(
    server: Server,
    issuer: Issuer = "",
    device: Annotated[
        bool, typer.Option("--device", help="Show a code to type in on another machine, where this one has no browser.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address instead of opening a browser.")
    ] = False,
    ca_file: Annotated[
        Path | None, typer.Option(help="The server's CA certificate, where this machine does not know it already.")
    ] = None,
    ca_hash: Annotated[str, typer.Option(help="Or the SHA-256 of that certificate: it is fetched and compared.")] = "",
    namespace: Annotated[str, typer.Option(help="The namespace that kubectl works in.")] = "",
    context: Annotated[str, typer.Option(help="What to call it in the kubeconfig; default: after the server.")] = "",
    kubeconfig: TargetFile = None,
    git: Annotated[bool, typer.Option(help="Let git push and fetch use the login, too.")] = True,
    output: Output = "text",
) -> None:
    """Log in at the identity provider that the server names, and let kubectl and Git use that login.

    The server is verified from the first byte on: by the machine's own CAs, by --ca-file, or by --ca-hash. The login is refreshed
    silently for as long as the provider allows; "moorage logout" ends it.
    """
    from moorage.cli.output import structured
    from moorage.client.login import git as for_git
    from moorage.client.login import kubeconfig as kubeconfigs
    from moorage.client.login import methods, trust
    from moorage.client.login.http import LoginError
    from moorage.client.login.logins import Login, Logins, normal
    from moorage.client.login.provider import Provider

    _check_output(output, ("text", "json", "yaml"))
    logins, server = Logins(), normal(server)
    try:
        ca_pem = trust.find(server, ca_file, ca_hash, _known_ca(logins.ca_path(server)))
        method = methods.choose(server, methods.fetch(server, ca_pem), issuer)
        provider = Provider(method)
        made = Login(server, ca_pem, method, _log_in(provider, method, device=device, open_browser=not no_browser))
        logins.save(made)
        file = kubeconfig or kubeconfigs.default_path()
        name = context or kubeconfigs.default_name(made)
        kubeconfigs.merge(file, made, name=name, command=_command(), namespace=namespace)
        with_git = git and for_git.configure(logins, made, _command())
    except (LoginError, OSError) as error:
        fail(error)
    except KeyboardInterrupt:
        fail("not logged in: you stopped it", 130)
    if output != "text":
        structured(
            {"server": server, "user": made.user, "kubeconfig": str(file), "context": name, "git": with_git}, output
        )
        return
    print(
        f"logged in at {server} as {made.user}\n"
        f"  kubeconfig {file}, context {name}\n"
        + (f"  git push and fetch use this login at {server}\n" if with_git else "")
        + "Try: moorage whoami, kubectl auth whoami"
    )


def logout(server: Server = "", issuer: Issuer = "", kubeconfig: TargetFile = None) -> None:
    """End a login: at the provider, in the kubeconfig, for Git and on this machine's disk."""
    from moorage.client.login import git as for_git
    from moorage.client.login import kubeconfig as kubeconfigs
    from moorage.client.login.http import LoginError
    from moorage.client.login.logins import Logins
    from moorage.client.login.provider import Provider

    logins = Logins()
    try:
        found = logins.find(server, issuer) if server else _only(logins.all())
        logins.forget(found)
        kubeconfigs.remove(kubeconfig or kubeconfigs.default_path(), found.server, found.method.name)
        for_git.unconfigure(found)
    except (LoginError, OSError) as error:
        fail(error)
    try:
        Provider(found.method).revoke(found.tokens.refresh_token)
    except LoginError as error:
        print(
            f"the login is removed from this machine, but {found.method.issuer} was not told: {error}", file=sys.stderr
        )
    print(f"logged out at {found.server}")


def whoami(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    output: Output = "text",
) -> None:
    """Show who the server says you are: name, groups, and what the credential is restricted to."""
    from moorage.cli.output import structured, table
    from moorage.cli.session import open_session

    _check_output(output, ("text", "json", "yaml"))
    session = open_session(data_dir, kubeconfig, context)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = session.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    user: dict[str, Any] = answer["status"]["userInfo"]
    if output != "text":
        structured({"server": session.config.server, **user}, output)
        return
    rows = [("Server", session.config.server), ("User", user["username"])]
    rows += [("Group", group) for group in user.get("groups") or ()]
    rows += [(key, ", ".join(values)) for key, values in sorted((user.get("extra") or {}).items())]
    table(("WHAT", "VALUE"), rows)


def token(server: Server, issuer: Issuer = "") -> None:
    """Print the login's token as kubectl wants it (client.authentication.k8s.io/v1); refresh it where it is about to end."""
    import json
    import time

    from moorage.client.login.http import LoginError
    from moorage.client.login.kubeconfig import API_VERSION
    from moorage.client.login.logins import EARLY, Logins

    try:
        fresh = Logins().fresh(server, issuer)
    except (LoginError, OSError) as error:
        fail(error)
    # kubectl asks again at this time: early enough for us to refresh before the token ends.
    until = max(time.time(), fresh.tokens.expires_at - EARLY / 2)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))
    status = {"token": fresh.tokens.id_token, "expirationTimestamp": stamp}
    print(json.dumps({"apiVersion": API_VERSION, "kind": "ExecCredential", "status": status}))


def git_credential(operation: Annotated[str, typer.Argument(help="get, store or erase.")]) -> None:
    """Git's credential helper: gives the login's token as the password for the server's host."""
    from moorage.client.login import git as for_git
    from moorage.client.login.http import LoginError
    from moorage.client.login.logins import Logins

    wanted = for_git.asked(sys.stdin)
    server = for_git.server_of(wanted)
    if operation != "get" or server is None:
        return  # tokens are ours to keep, and to forget
    logins = Logins()
    found = [each for each in logins.all() if for_git.same_server(each, server)]
    if not found:
        return
    try:
        fresh = logins.fresh(found[-1].server, found[-1].method.name)
    except (LoginError, OSError) as error:
        fail(error)
    print(f"username={for_git.USER}\npassword={fresh.tokens.id_token}")


def _log_in(provider: Provider, method: Method, *, device: bool, open_browser: bool) -> Tokens:
    from moorage.client.login import browser
    from moorage.client.login import device as devices

    headless = open_browser and not _has_display()
    if device or (headless and provider.has_device_flow):

        def show(address: str, code: str) -> None:
            print(f"Open {address}\nand check that it shows the code {code}", file=sys.stderr, flush=True)

        return devices.log_in(provider, show)

    def show_address(url: str) -> None:
        print(f"Log in at {method.issuer} with your browser:\n  {url}", file=sys.stderr, flush=True)

    return browser.log_in(provider, show_address, open_browser=open_browser and not headless)


def _has_display() -> bool:
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _known_ca(path: Path) -> str:
    return path.read_text("ascii") if path.exists() else ""


def _command() -> str:
    """How kubectl and Git call us: by name where that finds us, else by path."""
    own = Path(sys.argv[0])
    if own.name != "moorage":
        own = Path(sys.executable).with_name("moorage")
    found = shutil.which("moorage")
    return "moorage" if found and Path(found).resolve() == own.resolve() else str(own.absolute())


def _only(found: Any) -> Login:
    if not found:
        fail("you are not logged in anywhere")
    if len(found) > 1:
        listed = ", ".join(f"{each.server} ({each.method.name})" for each in found)
        fail(f"choose one of your logins with --server and --issuer: {listed}")
    first: Login = found[0]
    return first


def _check_output(output: str, known: tuple[str, ...]) -> None:
    if output not in known:
        fail(f'--output "{output}": must be {", ".join(known[:-1])} or {known[-1]}')
