"""Names and label syntax. Each rule returns what is wrong as Kubernetes words it, or None.

Source: RFC 1123 and RFC 1035 as Kubernetes' API conventions restrict them; ``kubectl explain`` and "Object Names and IDs".
"""

from __future__ import annotations

import re
from functools import lru_cache

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
_QUALIFIED_LENGTH = SUBDOMAIN_LENGTH + 1 + LABEL_LENGTH

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"
_PORT_CHARACTERS = r"[-a-z0-9]+"
_HTTP_HEADER = r"[-A-Za-z0-9]+"
_C_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"

_label = re.compile(_LABEL).fullmatch
_subdomain = re.compile(_SUBDOMAIN).fullmatch
_label_1035 = re.compile(_LABEL_1035).fullmatch
_qualified = re.compile(_QUALIFIED).fullmatch
_label_value = re.compile(_LABEL_VALUE).fullmatch
_config_key = re.compile(_CONFIG_KEY).fullmatch
_port_characters = re.compile(_PORT_CHARACTERS).fullmatch
_http_header = re.compile(_HTTP_HEADER).fullmatch
_c_identifier = re.compile(_C_IDENTIFIER).fullmatch

SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
LABEL_1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
CONFIG_KEY_MESSAGE = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
ENV_NAME_MESSAGE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
HTTP_HEADER_MESSAGE = "a valid HTTP header must consist of alphanumeric characters or '-'"
C_IDENTIFIER_MESSAGE = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    "or '_'"
)


def _pattern(message: str, pattern: str, *examples: str) -> str:
    """Kubernetes' RegexError: the message, examples, and the expression that decides."""
    named = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {named}regex used for validation is '{pattern}')"


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


# What is remembered is bounded in length: a client chooses these texts.
def dns_subdomain(name: str) -> str | None:
    """RFC 1123 subdomain of at most 253 characters: the name of most objects."""
    return _too_long(SUBDOMAIN_LENGTH) if len(name) > SUBDOMAIN_LENGTH else _dns_subdomain(name)


@lru_cache(4096)
def _dns_subdomain(name: str) -> str | None:
    return None if _subdomain(name) else _pattern(SUBDOMAIN_MESSAGE, _SUBDOMAIN, "example.com")


def dns_label(name: str) -> str | None:
    """RFC 1123 label of at most 63 characters: namespaces, containers, volumes."""
    return _too_long(LABEL_LENGTH) if len(name) > LABEL_LENGTH else _dns_label(name)


@lru_cache(4096)
def _dns_label(name: str) -> str | None:
    return None if _label(name) else _pattern(LABEL_MESSAGE, _LABEL, "my-name", "123-abc")


def dns_1035_label(name: str) -> str | None:
    """RFC 1035 label of at most 63 characters: services."""
    if len(name) > LABEL_LENGTH:
        return _too_long(LABEL_LENGTH)
    return None if _label_1035(name) else _pattern(LABEL_1035_MESSAGE, _LABEL_1035, "my-name", "abc-123")


def path_segment(name: str) -> str | None:
    """What any name in a URL must be; kinds with freer names (RBAC) use it alone."""
    if name in (".", ".."):
        return f"may not be '{name}'"
    for character in "/%":
        if character in name:
            return f"may not contain '{character}'"
    return None


def qualified_name(name: str) -> str | None:
    """``[prefix/]name``: keys of labels, annotations, taints, extended resources."""
    return _judge_qualified(name) if len(name) > _QUALIFIED_LENGTH else _qualified_name(name)


@lru_cache(4096)
def _qualified_name(name: str) -> str | None:
    return _judge_qualified(name)


def _judge_qualified(name: str) -> str | None:
    prefix, slash, last = name.rpartition("/")
    if slash:
        if "/" in prefix:
            return _pattern(f"a valid label key {QUALIFIED_MESSAGE}", _QUALIFIED, "MyName", "my.name", "123-abc") + (
                " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )
        if not prefix:
            return "prefix part must be non-empty"
        if problem := dns_subdomain(prefix):
            return f"prefix part {problem}"
    if not last:
        return "name part must be non-empty"
    if len(last) > LABEL_LENGTH:
        return f"name part {_too_long(LABEL_LENGTH)}"
    if not _qualified(last):
        return f"name part {_pattern(QUALIFIED_MESSAGE, _QUALIFIED, 'MyName', 'my.name', '123-abc')}"
    return None


def label_value(value: str) -> str | None:
    """A label's value: empty, or at most 63 characters."""
    return _too_long(LABEL_LENGTH) if len(value) > LABEL_LENGTH else _judge_label_value(value)


@lru_cache(4096)
def _judge_label_value(value: str) -> str | None:
    if not _label_value(value):
        return _pattern(LABEL_VALUE_MESSAGE, _LABEL_VALUE, "MyValue", "my_value", "12345")
    return None


def config_key(key: str) -> str | None:
    """A key of a ConfigMap or Secret: also a file name, so neither ``.`` nor starting with ``..``."""
    if len(key) > SUBDOMAIN_LENGTH:
        return _too_long(SUBDOMAIN_LENGTH)
    if not _config_key(key):
        return _pattern(CONFIG_KEY_MESSAGE, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name")
    if key in (".", ".."):
        return f"must not be '{key}'"
    if key.startswith(".."):
        return "must not start with '..'"
    return None


def env_name(name: str) -> str | None:
    """Printable ASCII without ``=`` (KEP-4369, on by default since v1.32)."""
    if all(" " <= character <= "~" and character != "=" for character in name):
        return None
    return ENV_NAME_MESSAGE


def port_name(name: str) -> list[str]:
    """IANA service name (RFC 6335): at most 15 characters with at least one letter."""
    problems = []
    if len(name) > 15:
        problems.append(_too_long(15))
    if not _port_characters(name):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= character <= "z" for character in name):
        problems.append("must contain at least one letter (a-z)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name and "-" in (name[0], name[-1]):
        problems.append("must not begin or end with a hyphen")
    return problems


def http_header(name: str) -> str | None:
    """The name of an HTTP header of a probe."""
    return None if _http_header(name) else _pattern(HTTP_HEADER_MESSAGE, _HTTP_HEADER, "X-Header-Name")


def c_identifier(name: str) -> str | None:
    """An identifier of the language C: attributes and capacities of devices."""
    if _c_identifier(name):
        return None
    return _pattern(C_IDENTIFIER_MESSAGE, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")
