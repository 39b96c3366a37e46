"""Which processes an installation has."""

from __future__ import annotations

from pathlib import Path

from moorage.supervisor.layout import Layout
from moorage.supervisor.options import Options
from moorage.supervisor.plan import client_parts
from moorage.supervisor.ranges import Ranges


def test_a_node_apart_is_told_so_and_has_time_to_end_its_engine(tmp_path: Path) -> None:
    options = Options.checked(data_dir=tmp_path, listen="127.0.0.1:6443", nodes=["here"], nodes_apart=["there"])
    layout = Layout.at(tmp_path)
    parts = {part.name: part for part in client_parts(layout, options, Ranges("10.1.0.0/16", "10.2.0.0/16"))}
    assert list(parts) == ["controllers", "agent/here", "agent/there"]
    assert "--apart" not in parts["agent/here"].command
    apart = parts["agent/there"]
    assert "--apart" in apart.command
    assert str(layout.agent("there")) in apart.command
    assert apart.stop_seconds > parts["agent/here"].stop_seconds
    assert list(options.every_node) == ["here", "there"]
    assert Options.decode(options.encode()).every_node == options.every_node
