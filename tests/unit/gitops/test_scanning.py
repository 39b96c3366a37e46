"""Every detector: what it must find, and what looks like it and is none. Values are put together here, so that a scan of this
repository does not find them.
"""

from __future__ import annotations

import json

import pytest

from moorage_gitops.scanning import entropy, patterns
from moorage_gitops.scanning.findings import RULES, Finding, fingerprint
from moorage_gitops.scanning.text import IGNORE, LONGEST, scan

MIXED = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7b"
"""Random enough for every detector."""
BASE64 = "QmFzZTY0U3RyaW5nT2ZLZXk"
KEY_BEGIN, KEY_END = "-----BEGIN ", "-----"


def token(prefix: str, length: int, alphabet: str = MIXED) -> str:
    return prefix + (alphabet * 8)[:length]


TRUE = {
    "a private key": [
        f"{KEY_BEGIN}PRIVATE KEY{KEY_END}\n{BASE64}{BASE64}\n",
        f"{KEY_BEGIN}RSA PRIVATE KEY{KEY_END}\n{BASE64}{BASE64}\n",
        f"{KEY_BEGIN}OPENSSH PRIVATE KEY{KEY_END}\\n{BASE64}{BASE64}",
        f"{KEY_BEGIN}EC PRIVATE KEY{KEY_END}\nProc-Type: 4,ENCRYPTED\n\n{BASE64}{BASE64}\n",
        f"{KEY_BEGIN}PGP PRIVATE KEY BLOCK{KEY_END}\nVersion: x\n\n{BASE64}{BASE64}\n",
    ],
    "a token of Moorage (node)": [f"moorage1.{'0123456789abcdef' * 4}.{MIXED[:24]}"],
    "a token of Moorage": [token("moorage_pat_", 40), token("moorage_", 36)],
    "an AWS access key": [token("AKIA", 16, "Q2W3E4R5T6Y7U2I3"), token("ASIA", 16, "Q2W3E4R5T6Y7U2I3")],
    "a GitHub token": [token("ghp_", 36), token("ghs_", 40), token("github_pat_", 40)],
    "a GitLab token": [token("glpat-", 20), token("gldt-", 20)],
    "a Slack token": [token("xoxb-", 30), token("xoxp-", 12)],
    "a Stripe key": [token("sk_live_", 24), token("rk_live_", 24)],
    "a Google API key": [token("AIza", 35)],
    "an npm token": [token("npm_", 36)],
    "a PyPI token": [token("pypi-AgE", 60)],
    "a SendGrid key": ["SG." + MIXED[:22] + "." + MIXED[:22]],
    "a Docker access token": [token("dckr_pat_", 27)],
    "a HashiCorp Vault token": [token("hvs.", 30), token("hvb.", 30)],
    "a JSON web token": ["eyJ" + MIXED[:20] + ".eyJ" + MIXED[:20] + "." + MIXED[:20]],
    "an age secret key": [token("AGE-SECRET-KEY-1", 58, "Q2W3E4R5T6Y7U8I9")],
    "credentials of an image registry": ['"auth": "' + BASE64 + '"'],
    "a password in a URL": [
        "postgresql" + "://shop:hunter2@db.example.org/shop",
        "https" + "://bot:abc.def@[::1]:8443/x",
        "redis" + "://user:p%40ss@cache",
    ],
}
FALSE = [
    f"{KEY_BEGIN}PRIVATE KEY{KEY_END}",
    f"{KEY_BEGIN}PRIVATE KEY{KEY_END}\n...\n",
    f"{KEY_BEGIN}PUBLIC KEY{KEY_END}\n{BASE64}{BASE64}\n",
    f"{KEY_BEGIN}CERTIFICATE{KEY_END}\n{BASE64}{BASE64}\n",
    "AKIA" + "IOSFODNN7EXAMPLE",
    token("AKIA", 15, "Q2W3E4R5T6Y7U2I3"),
    "x" + token("AKIA", 16, "Q2W3E4R5T6Y7U2I3"),
    token("ghp_", 36, "x"),
    token("glpat-", 12),
    "npm_install_" + "a-package",
    "moorage_controllers",
    "xoxb-short",
    "SG.foo.bar",
    "eyJhbGciOiJub25lIn0.e30.",
    '"auth": "none"',
    "postgresql" + "://shop@db/shop",
    "postgresql" + "://shop:password@db/shop",
    "postgresql" + "://shop:${PASSWORD}@db/shop",
    "https" + "://user:***@host/",
    "http://host:8080/path@2",
]


@pytest.mark.parametrize(("what", "text"), [(what, text) for what, texts in TRUE.items() for text in texts])
def test_what_has_the_form_of_a_secret_is_found(what: str, text: str) -> None:
    assert [pattern.what for _, pattern, _ in patterns.matches(f"a {text} b")] == [what]
    found = scan("notes.txt", f"first\n{text}\n".encode())
    assert [(finding.line, finding.message) for finding in found] == [(2, what)]
    assert text not in repr(found)


@pytest.mark.parametrize("text", FALSE)
def test_what_only_looks_like_one_is_passed_over(text: str) -> None:
    assert list(patterns.matches(f"a {text} b")) == []


def test_every_pattern_has_an_example() -> None:
    assert {pattern.what for pattern in patterns.PATTERNS} == TRUE.keys()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (".env", f"DB_PASSWORD={MIXED[:16]}"),
        (".env", f"export API_TOKEN='{MIXED[:20]}'"),
        ("config.json", f'"apiKey": "{MIXED[:20]}"'),
        ("values.yaml", f"  clientSecret: {MIXED[:20]}"),
        ("app.py", f'secret_key = "{MIXED[:20]}"'),
        ("app.go", f"credential := `{MIXED[:20]}`"),
        ("app.rb", f"'auth_key' => '{MIXED[:20]}'"),
        ("notes", f"passphrase: {MIXED[:10]}-{MIXED[10:20]}"),
    ],
)
def test_random_values_of_telling_names_are_found(path: str, line: str) -> None:
    (found,) = scan(path, f"# first\n{line}\n".encode())
    assert (found.rule, found.line) == ("high-entropy", 2)
    assert "a random-looking value of " in found.message


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (".env", "DB_PASSWORD="),
        (".env", "DB_PASSWORD=short"),
        (".env", "DB_PASSWORD=correct-horse-battery-staple"),
        (".env", "DB_PASSWORD=change-me-Please-123"),
        (".env", "DB_PASSWORD=${OTHER_PASSWORD_9}"),
        (".env", "TOKEN_FILE=/run/Secrets/Token1"),
        (".env", f"TOKEN_SHA256={MIXED}"),
        (".env", f"secret_name: {MIXED[:20]}"),
        ("app.py", "token = request.headers9[Name]"),
        ("app.py", f"token = {MIXED[:20]}"),
        ("app.py", 'CREDENTIAL = "authentication.kubernetes.io/credential-id"'),
        ("app.py", 'token = "system:serviceaccount:default:bot+system:serviceaccounts"'),
        ("app.py", 'secret = "https://vault.internal/Path1"'),
        ("values.yaml", "password: vault://kv/Data1/shop"),
        ("go.sum", f"secret-module: {MIXED}"),
        ("notes", f"colour: {MIXED[:20]}"),
    ],
)
def test_words_references_and_hashes_are_no_secrets(path: str, line: str) -> None:
    assert scan(path, f"{line}\n".encode()) == []


def test_words_have_less_entropy_than_keys() -> None:
    assert entropy.bits("aaaaaaaa") == 0
    assert entropy.bits("abcdefgh") == 3
    assert not entropy.looks_random("password-password")
    assert entropy.looks_random(MIXED[:16])


PLAIN = {
    "data": ("s.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata:\n  password: aHVudGVyMg==\n", 5),
    "stringData": ("s.yml", "kind: Secret\nmetadata: {name: db}\nstringData: {password: hunter2}\n", 3),
    "the second document": (
        "s.yaml",
        "kind: ConfigMap\n---\nkind: Secret\nmetadata: {name: db}\nstringData: {password: x}\n",
        5,
    ),
    "a list": (
        "s.yaml",
        "kind: List\nitems:\n- kind: Secret\n  metadata: {name: db}\n  stringData:\n    password: x\n",
        6,
    ),
    "JSON": (
        "s.json",
        json.dumps({"kind": "Secret", "metadata": {"name": "db"}, "data": {"password": "eA=="}}, indent=1),
        7,
    ),
    "a list in JSON": (
        "s.json",
        json.dumps({"items": [{"kind": "Secret", "metadata": {"name": "db"}, "data": {"password": "eA=="}}]}),
        1,
    ),
    "a generator": ("kustomization.yaml", "secretGenerator:\n- name: db\n  literals:\n  - password=hunter2\n", 4),
    "a template": (
        "t.tpl",
        "{{ if x }}\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter2\n{{ end }}\n",
        6,
    ),
}


@pytest.mark.parametrize("form", PLAIN)
def test_plain_secrets_are_found_in_every_form(form: str) -> None:
    path, text, line = PLAIN[form]
    found = scan(path, text.encode(), ["plain-secret"])
    assert [(each.line, each.message) for each in found] == [(line, 'Secret "db" in the clear (password)')]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("s.yaml", "kind: Secret\nmetadata: {name: db}\n"),
        ("s.yaml", "kind: Secret\nstringData: {password: ''}\n"),
        ("s.yaml", "kind: Secret\nstringData: {password: '${PASSWORD}', user: '{{ .user }}', x: <value>}\n"),
        ("s.yaml", "kind: Secret\nstringData: {password: 'ENC[AES256_GCM,data:x]'}\nsops: {}\n"),
        ("s.yaml", "kind: SealedSecret\nspec: {encryptedData: {password: AgBx}}\n"),
        ("s.yaml", "kind: ConfigMap\ndata: {kind: Secret}\n"),
        ("s.tpl", "kind: Secret\ndata:\n  password: {{ .Values.password }}\n"),
        ("kustomization.yaml", "secretGenerator:\n- name: db\n  envs: [.env]\n"),
        ("readme.md", "kind: Secret\nstringData: {password: x}\n"),
    ],
)
def test_secrets_without_values_are_none(path: str, text: str) -> None:
    assert scan(path, text.encode(), ["plain-secret"]) == []


def test_what_is_sealed_may_be_committed() -> None:
    sealed = {"kind": "SealedSecret", "spec": {"encryptedData": {"password": MIXED * 20, "apiKey": MIXED}}}
    assert scan("db.json", json.dumps(sealed).encode()) == []
    assert scan("list.json", json.dumps({"kind": "List", "items": [sealed]}).encode()) == []
    text = f"kind: SealedSecret\nspec:\n  encryptedData:\n    password: {MIXED}\n---\n"
    text += f"kind: ConfigMap\ndata:\n  password: x{MIXED}\n"
    assert [each.line for each in scan("both.yaml", text.encode())] == [8]
    assert [each.line for each in scan("plain.yaml", text.replace("SealedSecret", "Other").encode())] == [4, 8]


def test_a_mark_passes_a_line_over() -> None:
    text = f"API_TOKEN={MIXED[:20]} # {IGNORE}\nAPI_TOKEN={MIXED[:20]}\n"
    assert [each.line for each in scan(".env", text.encode())] == [2]
    passed: list[Finding] = []
    scan(".env", text.encode(), RULES, passed)
    assert [each.fingerprint for each in passed] == [scan(".env", text.encode())[0].fingerprint]


def test_what_is_no_text_or_very_long_is_not_looked_through() -> None:
    line = f"API_TOKEN={MIXED[:20]}\n".encode()
    assert len(scan("a", line)) == 1
    assert scan("a", b"\0" + line) == []
    assert scan("a", line + b"x" * LONGEST) == []
    assert len(scan("a", b"\xff\xfe" + line)) == 1


def test_fingerprints_tell_values_apart_and_show_none() -> None:
    one = fingerprint("token", "a", "value")
    assert one == fingerprint("token", "a", "value")
    assert len({one, fingerprint("token", "a", "other"), fingerprint("token", "b", "value")}) == 3
    assert "value" not in one
