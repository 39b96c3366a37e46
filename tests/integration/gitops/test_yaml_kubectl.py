"""The YAML loader against kubectl itself: every scalar and every document of the tables yields the same JSON."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from moorage_gitops.host.manifests import yaml
from moorage_gitops.host.manifests.limits import ManifestError, ManifestLimits
from tests.support.kubectl import tool

SCALARS = """
yes|no|Yes|NO|y|n|Y|N|on|off|On|OFF|true|True|TRUE|tRUE|false|~|null|Null|nULL|""|''
0|-0|1|-1|+1|007|010|0777|089|08|0o17|0O17|0o8|0x1F|0X1f|0xZZ|-0x10|+0x10|0b11|0B11|0b102|-0b1|0x|0b|0o
1_000|-1_0|1__0|_1|1_|0_7|1_000.5|1.5_0|1._5|._5|.5|-.5|+.5|.|+|1.|1.0|1.10|3.0|0.|1e3|1E3|1e+3|1e-3|1e03|1.e5|.5e3
1e|e1|1e400|1e20|1e21|1.0e18|1e19|0.00000001|123456.789e3|5e-324|1.7976931348623157e308|9007199254740993
9223372036854775807|9223372036854775808|-9223372036854775808|-9223372036854775809|18446744073709551616
12345678901234567890|123456789012345678901234567890|0xFFFFFFFFFFFFFFFF|0xFFFFFFFFFFFFFFFFF
22:22|190:20:30|1:2|2020-01-01|2020-01-01T00:00:00Z|2020-01-01 10:00:00|2020-1-1|12:30:45.5
=|<<|...|!!str 12|!!str yes|!!int 7|!!int "7"|!!float 3|!!float 3.5|!!bool yes|!!bool "on"|!!null ""|!!null ~
!!timestamp 2020-01-01|!!binary aGVsbG8=|!foo 12|!foo yes|! 12|!!custom 1|"yes"|'1'|"\\u0041\\t"|1.2.3|v1|1,000|#x|a#b
.inf0|.infinity|nan|inf|+12e03|--1|1-1|0.1.2|0777.5|00|0e0|-0.0|1e5|100m|1Gi|0x1p-2
"""
DOCUMENTS = [
    "{a: 1, <<: {a: 2, b: 3}}",
    "{<<: {a: 2, b: 3}, a: 1}",
    "{<<: [{a: 2, b: 3}, {a: 5, c: 6}], d: 1}",
    "{x: &x {a: [1, {b: 2}]}, y: *x, z: {<<: *x, c: 3}}",
    "{1: a, 1.5: b, true: c, 0x10: d, 1e3: e, 1e6: f, 123456789.0: g, 1.5e-7: h, 2020-01-01: i, 0.1: j, 1.23456789012: k}",
    "{y: a, no: b}",
    "{a: !!set {x, z}, b: !!omap [q: 1], c: !foo {a: 1}, d: !bar [1]}",
    "{a: 'it''s', b: \"x\\ny\", c: }",
    "\n  a: |\n    text\n     more\n  b: >-\n    folded\n    line\n\n    two\n  c: |+\n    keep\n\n",
    "\n  a:\n  - 1\n  -\n    - 2\n  - b: c\n    d: e\n  f: # comment\n    g\n",
    '{"json": ["a", {"b": null}], "n": 1.50}',
    "[]",
    "plain text\n  over lines",
]


def _scalars() -> list[str]:
    return [text for line in SCALARS.strip().split("\n") for text in line.split("|") if text]


@pytest.fixture(scope="module")
def kubectl() -> str:
    """The kubectl of the test run."""
    return tool("kubectl")


def _kubectl_reads(kubectl: str, file: Path, text: str) -> Any:
    """What kubectl makes of a document, without any server. None where it refuses."""
    file.write_text(text)
    command = [kubectl, "label", "--local", "--dry-run=client", "-o", "json", "-f", str(file), "seen=yes"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"HOME": str(file.parent), "PATH": os.defpath}, check=False
    )
    return json.loads(done.stdout)["spec"] if done.returncode == 0 else None


def _head(body: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\nspec: {body}\n"


def _same(left: Any, right: Any) -> bool:
    """Equal with equal types; kubectl prints a float of whole value without its point."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, float) or isinstance(right, float):
        return not isinstance(left, (str, bool)) and not isinstance(right, (str, bool)) and float(left) == float(right)
    return type(left) is type(right) and left == right


def test_scalars_are_what_kubectl_reads(kubectl: str, tmp_path: Path) -> None:
    scalars = [text for text in _scalars() if not text.startswith("#")]
    body = "".join(f"\n  k{index}: {text}" for index, text in enumerate(scalars))

    theirs = _kubectl_reads(kubectl, tmp_path / "scalars.yaml", _head(body))
    ours = yaml.load(_head(body).encode(), ManifestLimits())[0].value["spec"]

    assert theirs is not None
    different = {
        text: (ours[f"k{index}"], theirs[f"k{index}"])
        for index, text in enumerate(scalars)
        if not _same(ours[f"k{index}"], theirs[f"k{index}"])
    }
    assert different == {}


@pytest.mark.parametrize("body", DOCUMENTS)
def test_documents_are_what_kubectl_reads(kubectl: str, tmp_path: Path, body: str) -> None:
    theirs = _kubectl_reads(kubectl, tmp_path / "document.yaml", _head(body))
    ours = yaml.load(_head(body).encode(), ManifestLimits())[0].value["spec"]

    assert theirs is not None
    assert _same(ours, theirs), (ours, theirs)


@pytest.mark.parametrize(
    "body", ["{a: .inf}", "{a: -.INF}", "{a: .nan}", "{~: x}", "{a: !!int x}", "{? [a] : 1}", "{a: *nothing}"]
)
def test_both_refuse(kubectl: str, tmp_path: Path, body: str) -> None:
    assert _kubectl_reads(kubectl, tmp_path / "bad.yaml", _head(body)) is None
    with pytest.raises(ManifestError):
        yaml.load(_head(body).encode(), ManifestLimits())


def test_several_documents_are_split_where_kubectl_splits(kubectl: str, tmp_path: Path) -> None:
    text = (
        "# first\n" + _head("{a: 1}") + "---\n\n--- # empty\n" + _head("{a: 2}").replace("name: x", "name: z") + "---\n"
    )
    file = tmp_path / "many.yaml"
    file.write_text(text)
    command = [kubectl, "label", "--local", "--dry-run=client", "-o", "name", "-f", str(file), "seen=yes"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"HOME": str(tmp_path), "PATH": os.defpath}, check=True
    )

    ours = yaml.load(text.encode(), ManifestLimits())

    assert [f"configmap/{parsed.value['metadata']['name']}" for parsed in ours] == done.stdout.split()
