"""The chart, by the real helm: it lints, and renders what Kubernetes accepts; what it cannot work with is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kubectl import Result, tool

CHART = Path(__file__).resolve().parents[2] / "charts" / "moorage"
URL = "--set=database.url=postgresql://moorage@db/moorage"


def helm(*arguments: str) -> Result:
    done = subprocess.run([tool("helm"), *arguments], capture_output=True, text=True, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def rendered(*arguments: str) -> dict[str, dict[str, Any]]:
    """``Kind/name`` -> object."""
    result = helm("template", "trial", str(CHART), URL, *arguments)
    assert result.code == 0, result.err
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in yaml.safe_load_all(result.out) if one}


def test_it_lints() -> None:
    result = helm("lint", "--strict", str(CHART), URL)
    assert result.code == 0, result.out
    assert "0 chart(s) failed" in result.out


def test_it_renders_control_plane_and_agents() -> None:
    assert set(rendered()) == {
        "Service/trial-server", "PersistentVolumeClaim/trial-git", "Deployment/trial-server", "Deployment/trial-controllers",
    }  # fmt: skip
    assert "DaemonSet/trial-agent" in rendered("--set=agents.enabled=true")


def test_secrets_come_by_reference_only() -> None:
    for name, one in rendered("--set=agents.enabled=true").items():
        assert one["kind"] != "Secret", name
        text = yaml.safe_dump(one)
        assert "password: " not in text.replace("path: password", "").replace("key: password", "")
        for container in one.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            assert not any("token=" in argument or "password" in argument for argument in container["args"])


def test_the_parts_know_their_flags() -> None:
    """Each argument of each container is an option that the command has."""
    from tests.support.installation import moorage

    for one in rendered("--set=agents.enabled=true").values():
        for container in one.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            program, part = container["command"]
            assert program == "moorage"
            known = moorage(part, "--help").out
            for argument in container["args"]:
                assert argument.split("=")[0] in known


def test_selectors_match_and_do_not_overlap() -> None:
    workloads = [one for one in rendered("--set=agents.enabled=true").values() if "selector" in one.get("spec", {})]
    selectors = []
    for one in workloads:
        if one["kind"] != "Service":
            selector = one["spec"]["selector"]["matchLabels"]
            assert selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()
            selectors.append(tuple(sorted(selector.items())))
    assert len(set(selectors)) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set=database.url="], "database.url: give PostgreSQL's URL"),
        (["--set=database.url=postgresql://u:canary@db/x"], "/database/url"),  # moorage:allow-secret
        (["--set=server.replicas=0"], "/server/replicas"),
        (["--set=server.logLevel=LOUD"], "/server/logLevel"),
    ],
)
def test_values_that_cannot_work_are_refused(arguments: list[str], words: str) -> None:
    result = helm("template", "trial", str(CHART), URL, *arguments)
    assert result.code != 0
    assert words in result.err
