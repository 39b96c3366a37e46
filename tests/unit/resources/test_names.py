"""Names, labels, keys, ports."""

from collections.abc import Callable

import pytest

from moorage.resources import intstr, names
from moorage.resources.references import pull_policy

LONG = "must be no more than 63 bytes"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
QUALIFIED = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("rule", "value", "problem"),
    [
        (names.dns_subdomain, "a.b-c.d1", None),
        (names.dns_subdomain, "1-" + "a" * 251, None),
        (names.dns_subdomain, "a" * 254, "must be no more than 253 bytes"),
        (names.dns_subdomain, "a..b", SUBDOMAIN),
        (names.dns_subdomain, "A", SUBDOMAIN),
        (names.dns_subdomain, "a\n", SUBDOMAIN),
        (names.dns_label, "a-1", None),
        (names.dns_label, "a" * 64, LONG),
        (names.dns_label, "a.b", LABEL),
        (names.dns_label, "-a", LABEL),
        (names.dns_1035_label, "a1", None),
        (names.dns_1035_label, "a" * 64, LONG),
        (names.qualified_name, "app.kubernetes.io/name", None),
        (names.qualified_name, "a/b/c", f"a valid label key {QUALIFIED} with an optional DNS subdomain prefix and '/' "
         "(e.g. 'example.com/MyName')"),
        (names.qualified_name, "/b", "prefix part must be non-empty"),
        (names.qualified_name, "A_/b", f"prefix part {SUBDOMAIN}"),
        (names.qualified_name, "a/", "name part must be non-empty"),
        (names.qualified_name, "a" * 64, f"name part {LONG}"),
        (names.qualified_name, "_x", f"name part {QUALIFIED}"),
        (names.label_value, "", None),
        (names.label_value, "A_b.c", None),
        (names.label_value, "a" * 64, LONG),
        (names.config_key, "app.conf", None),
        (names.config_key, "..data", "must not start with '..'"),
        (names.config_key, "..", "must not be '..'"),
        (names.config_key, "a" * 254, "must be no more than 253 bytes"),
        (names.env_name, "a b.C-1", None),
        (names.env_name, "a=b", names.ENV_NAME_MESSAGE),
        (names.env_name, "é", names.ENV_NAME_MESSAGE),
        (names.path_segment, "pod.17", None),
        (names.path_segment, "..", "may not be '..'"),
        (names.path_segment, "a/b", "may not contain '/'"),
        (names.path_segment, "a%b", "may not contain '%'"),
        (names.http_header, "X-Header-Name", None),
    ],
)  # fmt: skip
def test_rule(rule: Callable[[str], str | None], value: str, problem: str | None) -> None:
    assert rule(value) == problem


@pytest.mark.parametrize("value", ["1a", "A", "a-"])
def test_services_start_with_a_letter(value: str) -> None:
    assert (names.dns_1035_label(value) or "").startswith("a DNS-1035 label must consist of")


@pytest.mark.parametrize(
    ("rule", "value"), [(names.label_value, "-a"), (names.config_key, "a b"), (names.http_header, "a b")]
)
def test_pattern_is_named(rule: Callable[[str], str | None], value: str) -> None:
    assert "regex used for validation is" in (rule(value) or "")


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("http", []),
        ("a" * 16, ["must be no more than 15 bytes"]),
        ("HTTP", ["must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                  "must contain at least one letter (a-z)"]),
        ("80", ["must contain at least one letter (a-z)"]),
        ("a--b", ["must not contain consecutive hyphens"]),
        ("a-", ["must not begin or end with a hyphen"]),
    ],
)  # fmt: skip
def test_port_names(name: str, problems: list[str]) -> None:
    assert names.port_name(name) == problems


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("registry:5000/nginx", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/team/nginx:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
        ("nginx:latest@sha256:abc", "Always"),
        ("", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_int_or_string() -> None:
    assert intstr.percent("25%") == 25
    assert intstr.percent("25") is None
    assert intstr.percent(25) is None
    assert intstr.scaled(3, 10, round_up=True) == 3
    assert intstr.scaled("25%", 10, round_up=True) == 3
    assert intstr.scaled("25%", 10, round_up=False) == 2
    with pytest.raises(ValueError, match="invalid value for IntOrString"):
        intstr.scaled("many", 10, round_up=False)
