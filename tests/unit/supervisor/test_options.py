from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from moorage.supervisor import options as module
from moorage.supervisor.addresses import Listen, check_node_name, default_node_name, server_names
from moorage.supervisor.layout import SetupError
from moorage.supervisor.options import Options, database_password

DEFAULTS: dict[str, Any] = {"data_dir": Path("/x"), "listen": "127.0.0.1:6443"}


def test_one_node_named_after_the_host_is_the_default() -> None:
    assert Options.checked(**DEFAULTS).nodes == (default_node_name(),)
    assert Options.checked(**DEFAULTS, no_node=True).nodes == ()
    assert Options.checked(**DEFAULTS, nodes=["a", "b"]).nodes == ("a", "b")
    check_node_name(default_node_name())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"nodes": ["a"], "no_node": True}, "--node and --no-node contradict each other"),
        ({"nodes": ["a", "a"]}, "each node needs a name of its own"),
        ({"nodes": ["a"], "nodes_apart": ["a"]}, "each node needs a name of its own"),
        ({"nodes_apart": ["A"]}, "A"),
        ({"nodes": ["../a"]}, '--node "../a": must consist of'),
        ({"nodes": ["A"]}, '--node "A": must consist of'),
        ({"nodes": [""]}, '--node ""'),
        ({"listen": "127.0.0.1:0"}, "a port from 1 to 65535"),
        ({"listen": ":6443"}, "must be HOST:PORT"),
        ({"listen": "a:b"}, "must be HOST:PORT"),
        ({"database_url": "mysql://a"}, "must look like postgresql://"),
        ({"database_url": "postgresql://u:pass@h/d"}, "can be read by every process"),
        ({"database_url": "postgresql://u@h/d?password=x"}, "MOORAGE_DATABASE_PASSWORD"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SetupError, match=sentence):
        Options.checked(**{**DEFAULTS, **change})


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(SetupError) as refusal:
        Options.checked(**DEFAULTS, database_url="postgresql://u:canary@h/d")  # moorage:allow-secret
    assert "canary" not in str(refusal.value)


def test_options_survive_the_pipe() -> None:
    options = Options.checked(**DEFAULTS, nodes=["a", "b"])
    again = Options.decode(options.encode())
    assert tuple(again.nodes) == ("a", "b")
    assert again.listen == options.listen


def test_the_password_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(module.PASSWORD_VARIABLE, raising=False)
    monkeypatch.delenv(module.PASSWORD_FILE_VARIABLE, raising=False)
    assert database_password() == ""
    file = tmp_path / "password"
    file.write_text("from file\n")
    monkeypatch.setenv(module.PASSWORD_FILE_VARIABLE, str(file))
    assert database_password() == "from file"
    monkeypatch.setenv(module.PASSWORD_VARIABLE, "from environment")
    assert database_password() == "from environment"
    monkeypatch.delenv(module.PASSWORD_VARIABLE)
    monkeypatch.setenv(module.PASSWORD_FILE_VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(SetupError, match="missing"):
        database_password()


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SetupError, match=rf"already listens on 127\.0\.0\.1:{port}.*--listen"):
            Listen("127.0.0.1", port).check_free()
    Listen("127.0.0.1", port).check_free()


def test_an_address_of_another_host_is_named() -> None:
    with pytest.raises(SetupError, match="no address of this host"):
        Listen("192.0.2.1", 6443).check_free()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:6443", "https://127.0.0.1:6443"),
        ("0.0.0.0:7000", "https://127.0.0.1:7000"),
        ("[::1]:6443", "https://[::1]:6443"),
        ("[::]:6443", "https://[::1]:6443"),
        ("localhost", "https://localhost:6443"),
    ],
)
def test_the_local_url(text: str, url: str) -> None:
    assert Listen.parse(text).local_url == url


def test_the_certificate_covers_this_host() -> None:
    names = server_names(Listen.parse("moorage.example.com:6443"), "10.96.0.0/16")
    assert {"localhost", "127.0.0.1", "::1", "moorage.example.com", "kubernetes", "10.96.0.1"} <= set(names)
    assert len(names) == len(set(names))
