"""Texts that are secrets by their form: private keys, tokens of known services, passwords in URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from moorage_gitops.scanning.findings import PASSWORD_IN_URL, PRIVATE_KEY, TOKEN


class Pattern(NamedTuple):
    """``expression`` has a group ``value``; ``what`` names it for people."""

    rule: str
    what: str
    expression: re.Pattern[str]


def _token(what: str, expression: str) -> Pattern:
    return Pattern(TOKEN, what, re.compile(rf"(?<![A-Za-z0-9_-])(?P<value>{expression})(?![A-Za-z0-9_-])"))


PATTERNS = (
    Pattern(
        PRIVATE_KEY,
        "a private key",
        re.compile(
            r"(?P<value>-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
            r"(?=(?:\\n|\s)*(?:[A-Za-z-]+: [^\n]*(?:\\n|\s)*)*[A-Za-z0-9+/=]{16}))"
        ),
    ),
    _token("a token of Moorage (node)", r"moorage1\.[0-9a-f]{64}\.[A-Za-z0-9_-]{20,}"),
    _token("a token of Moorage", r"moorage(?:_pat|-token|_[a-z]{2,8})?_[A-Za-z0-9_-]{32,}"),
    _token("an AWS access key", r"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    _token("a GitHub token", r"gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{22,255}"),
    _token("a GitLab token", r"gl(?:pat|dt|rt|soat|cbt|ptt)-[A-Za-z0-9_-]{20,64}"),
    _token("a Slack token", r"xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    _token("a Stripe key", r"[rs]k_live_[A-Za-z0-9]{20,247}"),
    _token("a Google API key", r"AIza[A-Za-z0-9_-]{35}"),
    _token("an npm token", r"npm_[A-Za-z0-9]{36}"),
    _token("a PyPI token", r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    _token("a SendGrid key", r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    _token("a Docker access token", r"dckr_pat_[A-Za-z0-9_-]{27}"),
    _token("a HashiCorp Vault token", r"hv[sb]\.[A-Za-z0-9_-]{24,}"),
    _token("a JSON web token", r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}"),
    _token("an age secret key", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    Pattern(
        TOKEN,
        "credentials of an image registry",
        re.compile(r"\"auth\"\s*:\s*\"(?P<value>[A-Za-z0-9+/]{12,}={0,2})\""),
    ),
    Pattern(
        PASSWORD_IN_URL,
        "a password in a URL",
        re.compile(
            r"(?P<value>\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"'`<>{}$]{1,64}:[^\s:/@\"'`<>{}$]{3,128}@[A-Za-z0-9_.\[\]-]+)"
        ),
    ),
)
_EXAMPLE_PASSWORD = re.compile(
    r":(?:pass(?:word|wd)?|secret|token|xxx+|\*+|\.\.\.|PASSWORD|TOKEN|changeme|example)@", re.IGNORECASE
)
_EXAMPLE = re.compile(r"EXAMPLE|(.)\1{9,}|1234567890|abcdefghij", re.IGNORECASE)


def matches(text: str) -> Iterator[tuple[int, Pattern, str]]:
    """(offset, pattern, value) of everything in ``text`` that has the form of a secret; obvious examples are passed over."""
    for pattern in PATTERNS:
        for match in pattern.expression.finditer(text):
            value = match["value"]
            if pattern.rule == PASSWORD_IN_URL and _EXAMPLE_PASSWORD.search(value):
                continue
            if pattern.rule == TOKEN and _EXAMPLE.search(value):
                continue
            yield match.start("value"), pattern, value
