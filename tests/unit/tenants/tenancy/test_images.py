"""Where images come from, as an engine reads their names."""

from __future__ import annotations

import pytest

from moorage_tenants.tenancy.images import Registries, full_name
from moorage_tenants.tenancy.patterns import Patterns


@pytest.mark.parametrize(
    ("image", "name", "version"),
    [
        ("nginx", "docker.io/library/nginx", ""),
        ("nginx:1.27", "docker.io/library/nginx", ":1.27"),
        ("team/app@sha256:ab", "docker.io/team/app", "@sha256:ab"),
        ("index.docker.io/nginx", "docker.io/library/nginx", ""),
        ("localhost/app", "localhost/app", ""),
        ("Registry.Example.com:5000/a/b:1@sha256:cd", "registry.example.com:5000/a/b", ":1@sha256:cd"),
    ],
)
def test_full_names(image: str, name: str, version: str) -> None:
    assert full_name(image) == (name, version)


@pytest.mark.parametrize(
    ("allowed", "image", "lets_in"),
    [
        (["registry.example.com"], "registry.example.com/any/thing:1", True),
        (["registry.example.com"], "registry.example.com.evil.org/x", False),
        (["registry.example.com/blue/*"], "registry.example.com/blue/web", True),
        (["registry.example.com/blue/*"], "registry.example.com/blues/web", False),
        (["registry.example.com/blue/*"], "registry.example.com/blue/../red/web", False),
        (["registry.example.com/blue/*"], " registry.example.com/blue/web", False),
        (["registry.example.com/*"], "evil.org/registry.example.com/x", False),
        (["nginx"], "nginx:1", True),
        (["nginx"], "docker.io/library/nginx@sha256:ab", True),
        (["nginx"], "evil/nginx", False),
        (["team/*"], "docker.io/team/app", True),
        (["nginx:1.27"], "nginx:1.27", True),
        (["nginx:1.27"], "nginx:1.28", False),
        (["*"], "anything.example.com/at/all", True),
        ([], "nginx", False),
    ],
)
def test_registries(allowed: list[str], image: str, lets_in: bool) -> None:
    assert (image in Registries(allowed)) is lets_in


def test_patterns_are_whole_and_literal_but_for_the_star() -> None:
    patterns = Patterns(["team-*", "a.b"])
    assert "team-1" in patterns
    assert "my-team-1" not in patterns
    assert "axb" not in patterns
    assert "" not in Patterns([])
    assert str(Patterns([])) == "none"
