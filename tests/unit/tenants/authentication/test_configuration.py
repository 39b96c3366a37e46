"""The file that names identity providers: what it may say, and that everything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage_tenants.authentication import configuration
from moorage_tenants.authentication.chain import Authentication
from moorage_tenants.authentication.configuration import parse, single
from moorage_tenants.authentication.oidc.config import IssuerConfig, Login, Mapped
from moorage_tenants.authentication.oidc.issuers import Issuers
from moorage_tenants.authentication.reloading import Reloading
from moorage_tenants.configuration_fields import BadConfiguration
from tests.unit.tenants.authentication.signing import Nobody

Document = dict[str, Any]


def issuer(**more: Any) -> Document:
    base = {
        "issuer": {"url": "https://login.example.test", "audiences": ["moorage"]},
        "claimMappings": {"username": {"claim": "email", "prefix": "corp:"}},
    }
    return {**base, **more}


def document(*issuers: Document, **more: Any) -> Document:
    head = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
    return {**head, "jwt": list(issuers), **more}


def test_everything_that_may_be_said() -> None:
    whole = issuer(
        issuer={
            "url": "https://login.example.test/realm",
            "discoveryURL": "https://inside.example.test/.well-known/openid-configuration",
            "audiences": ["moorage", "cli"],
            "audienceMatchPolicy": "MatchAny",
        },
        claimMappings={
            "username": {"claim": "sub", "prefix": ""},
            "groups": {"claim": "roles", "prefix": "corp:"},
            "uid": {"claim": "oid"},
        },
        claimValidationRules=[{"claim": "tier", "requiredValue": "gold"}],
        login={"name": "corp", "clientID": "cli", "scopes": ["openid", "profile"]},
    )
    config = parse(document(whole, issuer(), anonymous={"enabled": True}))
    assert config.anonymous
    first, second = config.issuers
    assert first == IssuerConfig(
        url="https://login.example.test/realm",
        discovery_url="https://inside.example.test/.well-known/openid-configuration",
        audiences=("moorage", "cli"),
        username=Mapped("sub", ""),
        groups=Mapped("roles", "corp:"),
        uid_claim="oid",
        required=(("tier", "gold"),),
        login=Login("corp", "cli", ("openid", "profile")),
    )
    assert first.metadata_url == "https://inside.example.test/.well-known/openid-configuration"
    assert second.metadata_url == "https://login.example.test/.well-known/openid-configuration"
    assert second.login is None


def test_nobody_is_anonymous_and_nobody_vouches_by_default() -> None:
    config = parse(document())
    assert not config.anonymous
    assert config.issuers == ()


def changed(path: str, value: Any) -> Document:
    """A good configuration with one field set; None takes it away."""
    whole = document(issuer())
    *way, last = path.split(".")
    place: Any = whole
    for step in way:
        place = place[int(step)] if step.isdigit() else place.setdefault(step, {})
    if value is None:
        place.pop(last)
    else:
        place[last] = value
    return whole


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("kind", "EncryptionConfiguration", 'must be of kind "AuthenticationConfiguration"'),
        ("apiVersion", "v1", "apiVersion"),
        ("jwks", [], "jwks: is not known here; one of anonymous"),
        ("jwt", {}, "jwt: must be a list"),
        ("anonymous", {"enabled": "yes"}, "anonymous.enabled: must be true or false"),
        ("anonymous", {"enabled": True, "conditions": [{"path": "/livez"}]}, "anonymous.conditions: is not supported"),
        ("jwt.0.issuer.url", None, "jwt[0].issuer.url: '' must be a URL with https"),
        ("jwt.0.issuer.url", "http://login.example.test", "must begin with https://"),
        ("jwt.0.issuer.url", "https://me:secret@login.example.test", "must not contain a user name or password"),
        ("jwt.0.issuer.url", "https://login.example.test?x=1", "must not contain a query or a fragment"),
        ("jwt.0.issuer.discoveryURL", "file:///etc/passwd", "jwt[0].issuer.discoveryURL"),
        ("jwt.0.issuer.audiences", None, "jwt[0].issuer.audiences: at least one is needed"),
        ("jwt.0.issuer.audiences", ["a", "b"], "jwt[0].issuer.audienceMatchPolicy"),
        ("jwt.0.issuer.audiences", [""], "jwt[0].issuer.audiences: must be a list of texts"),
        (
            "jwt.0.issuer.certificateAuthority",
            "nonsense",
            "jwt[0].issuer.certificateAuthority: is no certificate in PEM",
        ),
        ("jwt.0.claimMappings.username", None, "jwt[0].claimMappings.username: claim and prefix are needed"),
        ("jwt.0.claimMappings.username.prefix", None, "jwt[0].claimMappings.username.prefix: must be given"),
        ("jwt.0.claimMappings.username.expression", "claims.sub", "expressions (CEL) are not supported"),
        ("jwt.0.claimMappings.groups", {"claim": "g"}, "jwt[0].claimMappings.groups.prefix: must be given"),
        ("jwt.0.claimMappings.extra", [{"key": "a"}], "jwt[0].claimMappings.extra: expressions (CEL)"),
        ("jwt.0.claimValidationRules", [{"expression": "true"}], "jwt[0].claimValidationRules[0].expression"),
        ("jwt.0.claimValidationRules", [{"requiredValue": "x"}], "jwt[0].claimValidationRules[0].claim: is needed"),
        ("jwt.0.userValidationRules", [{"expression": "true"}], "jwt[0].userValidationRules: expressions"),
        ("jwt.0.login", {"clientID": "other"}, "jwt[0].login.clientID: 'other' must be one of the issuer's audiences"),
        ("jwt.0.login", {"scopes": ["email"]}, 'jwt[0].login.scopes: must contain "openid"'),
        ("jwt.0.issuer.clientSecret", "x", "jwt[0].issuer.clientSecret: is not known here"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(path: str, value: Any, words: str) -> None:
    with pytest.raises(BadConfiguration) as refused:
        parse(changed(path, value))
    assert words in str(refused.value)


def test_issuers_and_logins_are_told_apart() -> None:
    with pytest.raises(BadConfiguration, match=r"the issuer https://login\.example\.test is given twice"):
        parse(document(issuer(), issuer()))
    other = {"url": "https://other.example.test", "audiences": ["moorage"]}
    login = {"name": "corp"}
    with pytest.raises(BadConfiguration, match='the login name "corp" is given twice'):
        parse(document(issuer(login=login), issuer(issuer=other, login=login)))
    many = [issuer(issuer={"url": f"https://i{number}.example.test", "audiences": ["a"]}) for number in range(65)]
    with pytest.raises(BadConfiguration, match="at most 64 issuers"):
        parse(document(*many))


def flags(**more: Any) -> IssuerConfig:
    base: dict[str, Any] = {
        "issuer_url": "https://login.example.test",
        "client_id": "moorage",
        "username_claim": "sub",
        "username_prefix": None,
        "groups_claim": "",
        "groups_prefix": "",
        "required_claims": [],
        "ca_file": None,
        "scopes": [],
    }
    return single(**{**base, **more})


def test_flags_mean_what_they_mean_to_kube_apiserver() -> None:
    assert flags().username == Mapped("sub", "https://login.example.test#")
    assert flags(username_claim="email").username == Mapped("email", "")
    assert flags(username_prefix="-").username == Mapped("sub", "")
    assert flags(username_prefix="oidc:").username == Mapped("sub", "oidc:")
    assert flags(groups_claim="roles", groups_prefix="g:").groups == Mapped("roles", "g:")
    assert flags(required_claims=["a=b", "c=d=e"]).required == (("a", "b"), ("c", "d=e"))
    for wrong, words in (
        ({"client_id": ""}, "needs --oidc-client-id"),
        ({"issuer_url": "http://x.test"}, "--oidc-issuer-url http://x.test: must begin with https"),
        ({"required_claims": ["a"]}, "--oidc-required-claim a: must be NAME=VALUE"),
        ({"ca_file": Path("/nowhere/ca.pem")}, "--oidc-ca-file /nowhere/ca.pem: cannot be read"),
    ):
        with pytest.raises(BadConfiguration, match=words):
            flags(**wrong)


@pytest.mark.parametrize(
    ("text", "words"), [("a: [", "is not YAML"), ("[]", "must be an object"), ("", "must be of kind")]
)
def test_a_broken_file_is_refused_with_its_path(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(BadConfiguration, match=words) as refused:
        configuration.read(file)
    assert str(file) in str(refused.value)
    with pytest.raises(BadConfiguration, match="cannot be read"):
        configuration.read(tmp_path / "missing.yaml")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Document], Path]:
    """Writes the file anew, as editors and mounts do: another file under the same name."""
    file = tmp_path / "config.yaml"

    def written(content: Document) -> Path:
        draft = tmp_path / "draft"
        draft.write_text(yaml.safe_dump(content))
        draft.replace(file)
        return file

    return written


async def test_a_changed_file_is_in_force_and_a_broken_one_changes_nothing(write: Callable[[Document], Path]) -> None:
    file = write(document(issuer()))
    issuers = Issuers(configuration.read(file).issuers)
    door = Authentication(stored=Nobody(), signed=[issuers])
    following = Reloading(file, issuers, door)
    assert not await following.look()
    other = issuer(issuer={"url": "https://other.example.test", "audiences": ["moorage"]})
    write(document(issuer(), other, anonymous={"enabled": True}))
    kept = issuers._issuers["https://login.example.test"]
    assert await following.look()
    assert issuers.knows("https://other.example.test")
    assert issuers._issuers["https://login.example.test"] is kept
    assert (await door.authenticate("")) is not None
    write(changed("jwt.0.issuer.audiences", None))
    assert not await following.look()
    assert issuers.knows("https://other.example.test")
    write(document(other))
    assert await following.look()
    assert not issuers.knows("https://login.example.test")
    assert (await door.authenticate("")) is None
    await issuers.close()
