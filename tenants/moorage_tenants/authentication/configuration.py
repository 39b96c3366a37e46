"""``--authentication-config FILE``: Kubernetes' structured ``AuthenticationConfiguration``, and what ``moorage login`` needs.

Source: KEP-3331 and the type in ``apiserver/pkg/apis/apiserver``. CEL expressions are not offered and are refused by name; a
field that nobody knows is refused too, since it might have been meant to keep somebody out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moorage.client.credentials import tls_context
from moorage_tenants.authentication.oidc.config import DEFAULT_SCOPES, IssuerConfig, Login, Mapped, url_problem
from moorage_tenants.configuration_fields import BadConfiguration, Fields, read_yaml

KIND = "AuthenticationConfiguration"
VERSIONS = tuple(f"apiserver.config.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1"))
MOST_ISSUERS = 64


@dataclass(frozen=True, slots=True)
class AuthenticationConfig:
    """Who may vouch for users, and whether requests without credentials are let through to the authorizer."""

    issuers: tuple[IssuerConfig, ...] = ()
    anonymous: bool = False


def read(path: Path) -> AuthenticationConfig:
    """From a file. Raises BadConfiguration."""
    document = read_yaml(path)
    try:
        return parse(document)
    except BadConfiguration as error:
        raise BadConfiguration(f"{path}: {error}") from None


def parse(document: object) -> AuthenticationConfig:
    """From a decoded document. Raises BadConfiguration."""
    root = Fields(document, "", {"apiVersion", "kind", "jwt", "anonymous"})
    if root.text("kind") != KIND or root.text("apiVersion") not in VERSIONS:
        raise BadConfiguration(f'must be of kind "{KIND}" and apiVersion "{VERSIONS[0]}"')
    anonymous = root.fields("anonymous", {"enabled", "conditions"})
    if anonymous.get("conditions"):
        raise BadConfiguration(
            "anonymous.conditions: is not supported; grant the paths to the group system:unauthenticated"
        )
    enabled = anonymous.get("enabled", False)
    if not isinstance(enabled, bool):
        raise BadConfiguration("anonymous.enabled: must be true or false")
    issuers = tuple(_issuer(value, f"jwt[{number}]") for number, value in enumerate(root.list("jwt")))
    return checked(issuers, anonymous=enabled)


def checked(issuers: Sequence[IssuerConfig], *, anonymous: bool = False) -> AuthenticationConfig:
    """What can be in force together. Raises BadConfiguration."""
    if len(issuers) > MOST_ISSUERS:
        raise BadConfiguration(f"jwt: at most {MOST_ISSUERS} issuers")
    urls = [issuer.url for issuer in issuers]
    if len(set(urls)) < len(urls):
        raise BadConfiguration(f"jwt: the issuer {max(urls, key=urls.count)} is given twice")
    logins = [issuer.login.name for issuer in issuers if issuer.login is not None]
    if len(set(logins)) < len(logins):
        raise BadConfiguration(f'jwt: the login name "{max(logins, key=logins.count)}" is given twice')
    return AuthenticationConfig(tuple(issuers), anonymous)


def single(
    *,
    issuer_url: str,
    client_id: str,
    username_claim: str,
    username_prefix: str | None,
    groups_claim: str,
    groups_prefix: str,
    required_claims: Sequence[str],
    ca_file: Path | None,
    scopes: Sequence[str],
) -> IssuerConfig:
    """One issuer from command line flags, with the meaning that kube-apiserver gives them. Raises BadConfiguration."""
    if not client_id:
        raise BadConfiguration("--oidc-issuer-url: needs --oidc-client-id, the audience that tokens must have")
    if problem := url_problem(issuer_url):
        raise BadConfiguration(f"--oidc-issuer-url {issuer_url}: {problem}")
    required = []
    for text in required_claims:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadConfiguration(f"--oidc-required-claim {text}: must be NAME=VALUE")
        required.append((name, value))
    prefix = username_prefix
    if prefix is None:
        # As in Kubernetes: an e-mail address says where it is from, other names could be anybody's.
        prefix = "" if username_claim == "email" else f"{issuer_url}#"
    return IssuerConfig(
        url=issuer_url,
        audiences=(client_id,),
        username=Mapped(username_claim, "" if prefix == "-" else prefix),
        groups=Mapped(groups_claim, groups_prefix) if groups_claim else None,
        required=tuple(required),
        ca_pem=_ca_file(ca_file, "--oidc-ca-file") if ca_file else "",
        login=Login("default", client_id, tuple(scopes) or DEFAULT_SCOPES),
    )


def _issuer(value: object, path: str) -> IssuerConfig:
    top = Fields(value, path, {"issuer", "claimValidationRules", "claimMappings", "userValidationRules", "login"})
    if top.get("userValidationRules"):
        raise BadConfiguration(
            f"{path}.userValidationRules: expressions (CEL) are not supported; use claimValidationRules"
        )
    issuer = top.fields(
        "issuer",
        {"url", "discoveryURL", "certificateAuthority", "audiences", "audienceMatchPolicy", "egressSelectorType"},
    )
    url, audiences = issuer.text("url"), issuer.texts("audiences")
    discovery = issuer.text("discoveryURL")
    for name, text in (("url", url), ("discoveryURL", discovery)):
        if (text or name == "url") and (problem := url_problem(text)):
            raise BadConfiguration(f"{path}.issuer.{name}: {text!r} {problem}")
    if not audiences:
        raise BadConfiguration(
            f"{path}.issuer.audiences: at least one is needed, or tokens for others would be accepted"
        )
    policy = issuer.text("audienceMatchPolicy")
    if policy not in ("", "MatchAny") or (len(audiences) > 1 and not policy):
        raise BadConfiguration(
            f'{path}.issuer.audienceMatchPolicy: must be "MatchAny" where there are several audiences'
        )
    ca_pem = issuer.text("certificateAuthority")
    _check_ca(ca_pem, f"{path}.issuer.certificateAuthority")
    mappings = top.fields("claimMappings", {"username", "groups", "uid", "extra"})
    if mappings.get("extra"):
        raise BadConfiguration(f"{path}.claimMappings.extra: expressions (CEL) are not supported")
    username = _mapped(mappings, "username")
    if username is None:
        raise BadConfiguration(f"{path}.claimMappings.username: claim and prefix are needed (the prefix may be empty)")
    uid = mappings.fields("uid", {"claim"})
    rules = enumerate(top.list("claimValidationRules"))
    return IssuerConfig(
        url=url,
        audiences=audiences,
        username=username,
        groups=_mapped(mappings, "groups"),
        uid_claim=uid.text("claim"),
        required=tuple(_required(rule, f"{path}.claimValidationRules[{number}]") for number, rule in rules),
        ca_pem=ca_pem,
        discovery_url=discovery,
        login=_login(top, path, audiences),
    )


def _mapped(mappings: Fields, name: str) -> Mapped | None:
    fields = mappings.fields(name, {"claim", "prefix", "expression"})
    if fields.get("expression"):
        raise BadConfiguration(f"{fields.path}.expression: expressions (CEL) are not supported; use claim and prefix")
    claim = fields.text("claim")
    if not claim:
        return None
    if fields.get("prefix") is None:
        raise BadConfiguration(f'{fields.path}.prefix: must be given beside claim; "" for none')
    return Mapped(claim, fields.text("prefix"))


def _required(value: object, path: str) -> tuple[str, str]:
    fields = Fields(value, path, {"claim", "requiredValue", "expression", "message"})
    if fields.get("expression"):
        raise BadConfiguration(f"{path}.expression: expressions (CEL) are not supported; use claim and requiredValue")
    if not fields.text("claim"):
        raise BadConfiguration(f"{path}.claim: is needed")
    return fields.text("claim"), fields.text("requiredValue")


def _login(top: Fields, path: str, audiences: Sequence[str]) -> Login | None:
    fields = top.fields("login", {"name", "clientID", "scopes"})
    if not fields:
        return None
    client_id = fields.text("clientID") or audiences[0]
    if client_id not in audiences:
        raise BadConfiguration(f"{path}.login.clientID: {client_id!r} must be one of the issuer's audiences")
    scopes = fields.texts("scopes") or DEFAULT_SCOPES
    if "openid" not in scopes:
        raise BadConfiguration(f'{path}.login.scopes: must contain "openid", or there is no ID token')
    return Login(fields.text("name") or "default", client_id, tuple(scopes))


def _ca_file(path: Path, option: str) -> str:
    try:
        pem = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(f"{option} {path}: cannot be read: {error}") from None
    _check_ca(pem, f"{option} {path}")
    return pem


def _check_ca(pem: str, path: str) -> None:
    if pem:
        try:
            tls_context(ca_pem=pem)
        except (OSError, ValueError) as error:
            raise BadConfiguration(f"{path}: is no certificate in PEM: {error}") from None
