"""Files that are made to stop the scanner."""

from __future__ import annotations

from moorage_gitops.scanning.manifests import plain_secrets, sealed_values


def test_what_is_built_to_stop_the_scanner_does_not() -> None:
    """Depth that would end the process (libyaml's composer is C that calls itself), and lists of aliases of lists."""
    lists = "".join(f"l{n}: &l{n} {{items: [{', '.join([f'*l{n - 1}'] * 20)}]}}\n" for n in range(1, 12))
    bomb = (
        f"kind: Secret\nl0: &l0 {{kind: Secret, stringData: {{a: hunter2}}}}\n{lists}items: [*l11]\nencryptedData: 1\n"
    )
    assert len(plain_secrets(bomb.encode())) == 1
    assert sealed_values(bomb.encode()) == []
    for deep in ("[" * 100_000, "[" * 100_000 + "]" * 100_000, "{a: " * 100_000):
        text = f"kind: Secret\nencryptedData: {deep}".encode()
        assert plain_secrets(text) == []
        assert sealed_values(text) == []
