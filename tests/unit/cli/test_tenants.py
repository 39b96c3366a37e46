"""Amounts and bars of ``moorage tenants``, and which kubeconfig a command takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from moorage.cli import session
from moorage.cli.tenants import making
from moorage.cli.tenants.amounts import WIDTH, bar, fullest, read_amounts, share


def test_short_names_stand_for_requests() -> None:
    found = read_amounts("--quota", ["cpu=8,memory=16Gi", "pods=5", "limits.cpu=9"])
    assert found == {"requests.cpu": "8", "requests.memory": "16Gi", "pods": "5", "limits.cpu": "9"}


@pytest.mark.parametrize("text", ["cpu", "=1", "cpu=", "cpu=lots"])
def test_broken_amounts_are_named(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        read_amounts("--quota", [text])
    assert f'--quota "{text}"' in capsys.readouterr().err


def test_shares_and_bars() -> None:
    assert share("500m", "2") == 0.25
    assert share("0", "0") == 1.0
    assert fullest({"pods": "10", "requests.cpu": "2"}, {"pods": "1", "requests.cpu": "1"}) == ("requests.cpu", 0.5)
    assert fullest({}, {}) == ("", 0.0)
    assert [len(bar(part)) for part in (0.0, 0.001, 0.5, 1.0, 7.0)] == [WIDTH] * 5
    assert bar(0.001) != bar(0.0)


@pytest.mark.parametrize(
    ("spec", "assumed"),
    [
        ({"quota": {"hard": {"requests.cpu": "2", "requests.memory": "2Gi"}}}, {"cpu": "100m", "memory": "128Mi"}),
        ({"quota": {"hard": {"cpu": "2"}}, "defaultRequests": {"memory": "1Gi"}}, {"cpu": "100m"}),
        ({"quota": {"hard": {"requests.cpu": "2"}}, "defaultRequests": {"cpu": "1"}}, {}),
        ({"quota": {"hard": {"requests.cpu": "2"}}, "limits": [{"type": "Container", "default": {"cpu": "1"}}]}, {}),
        ({"quota": {"hard": {"pods": "2"}}}, {}),
        ({}, {}),
    ],
)
def test_containers_that_ask_for_nothing_count_against_the_quota(spec: dict[str, Any], assumed: dict[str, str]) -> None:
    assert making._assumed(spec) == assumed
    told = making._next_steps("blue", spec, "https://api", has_namespace=False, assumed=assumed)
    assert all(f"{resource}={amount}" in told for resource, amount in assumed.items())
    assert ("ask for nothing" in told) == bool(assumed)


def test_which_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, data = tmp_path / "own", tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr(session, "USERS_KUBECONFIG", own)
    assert session.find_kubeconfig(data, None) is None
    own.touch()
    assert session.find_kubeconfig(data, None) == own
    (data / "kubeconfig").touch()
    assert session.find_kubeconfig(data, None) is None
    assert session.find_kubeconfig(data, Path(f"{tmp_path}/absent:{own}")) == own
