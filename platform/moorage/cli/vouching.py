"""Options that say who may vouch for users: a configuration file, or one OpenID issuer by flags with kube-apiserver's names.

``moorage up`` checks them before anything starts and hands them to the server as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from moorage_tenants.authentication.oidc.config import IssuerConfig

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--authentication-config",
        help="Identity providers: an AuthenticationConfiguration (apiserver.config.k8s.io/v1); followed when it changes.",
    ),
]
IssuerUrl = Annotated[
    str, typer.Option("--oidc-issuer-url", help="One OpenID provider without a file: its issuer's URL.")
]
ClientId = Annotated[
    str, typer.Option("--oidc-client-id", help="The audience that its tokens must have; login uses it, too.")
]
UsernameClaim = Annotated[str, typer.Option("--oidc-username-claim", help="The claim that names the user.")]
UsernamePrefix = Annotated[
    str | None,
    typer.Option("--oidc-username-prefix", help='Put before it; "-" for nothing. Default: ISSUER#, nothing for email.'),
]
GroupsClaim = Annotated[str, typer.Option("--oidc-groups-claim", help="The claim that lists the user's groups.")]
GroupsPrefix = Annotated[str, typer.Option("--oidc-groups-prefix", help="Put before each group.")]
RequiredClaim = Annotated[
    list[str] | None, typer.Option("--oidc-required-claim", help="NAME=VALUE that tokens must have; may be repeated.")
]
CaFile = Annotated[Path | None, typer.Option("--oidc-ca-file", help="The CA of the provider's certificate.")]
Scope = Annotated[
    list[str] | None,
    typer.Option("--oidc-scope", help="What moorage login asks for; default: openid, email, offline_access."),
]
AccountIssuer = Annotated[
    str, typer.Option("--service-account-issuer", help="The issuer's URL in tokens of ServiceAccounts.")
]


def single(
    *,
    issuer_url: str,
    client_id: str,
    username_claim: str,
    username_prefix: str | None,
    groups_claim: str,
    groups_prefix: str,
    required_claim: list[str] | None,
    ca_file: Path | None,
    scope: list[str] | None,
) -> IssuerConfig | None:
    """The issuer of the flags, or None without one. Raises SetupError."""
    from moorage.supervisor.layout import SetupError
    from moorage_tenants.authentication import configuration
    from moorage_tenants.configuration_fields import BadConfiguration

    if not issuer_url:
        if client_id:
            raise SetupError("--oidc-client-id: needs --oidc-issuer-url")
        return None
    try:
        return configuration.single(
            issuer_url=issuer_url,
            client_id=client_id,
            username_claim=username_claim,
            username_prefix=username_prefix,
            groups_claim=groups_claim,
            groups_prefix=groups_prefix,
            required_claims=required_claim or (),
            ca_file=ca_file,
            scopes=scope or (),
        )
    except BadConfiguration as error:
        raise SetupError(str(error)) from None


def arguments(
    config_file: Path | None, account_issuer: str, issuer: IssuerConfig | None, ca_file: Path | None
) -> list[str]:
    """The same for ``moorage server``. Raises SetupError for a configuration that cannot be used."""
    from moorage.supervisor.layout import SetupError
    from moorage_tenants.authentication import configuration
    from moorage_tenants.configuration_fields import BadConfiguration

    given: list[str] = []
    if account_issuer:
        given += ["--service-account-issuer", account_issuer]
    if config_file is not None:
        if issuer is not None:
            raise SetupError(
                "--authentication-config and --oidc-issuer-url exclude each other; put the issuer into the file"
            )
        try:
            configuration.read(config_file)
        except BadConfiguration as error:
            raise SetupError(f"--authentication-config {error}") from None
        return [*given, "--authentication-config", str(config_file.absolute())]
    if issuer is None:
        return given
    assert issuer.login is not None
    given += ["--oidc-issuer-url", issuer.url, "--oidc-client-id", issuer.audiences[0]]
    given += ["--oidc-username-claim", issuer.username.claim, "--oidc-username-prefix", issuer.username.prefix or "-"]
    if issuer.groups is not None:
        given += ["--oidc-groups-claim", issuer.groups.claim, "--oidc-groups-prefix", issuer.groups.prefix]
    for name, value in issuer.required:
        given += ["--oidc-required-claim", f"{name}={value}"]
    for scope in issuer.login.scopes:
        given += ["--oidc-scope", scope]
    if ca_file is not None:
        given += ["--oidc-ca-file", str(ca_file.absolute())]
    return given
