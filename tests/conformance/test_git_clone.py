"""The recipe of docs/agent.md: what ``gitRepo`` volumes were for, by an init container."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.docker import busybox_archive, docker
from tests.support.rest import Rest
from tests.support.wait import NotYet, until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

PAGE = Path(__file__).parents[2] / "docs" / "agent.md"


@pytest.fixture(scope="module")
def git_image() -> Iterator[str]:
    """An image with a shell and this machine's git."""
    program = shutil.which("git")
    assert program is not None
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    buffer = io.BytesIO(busybox_archive())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for library in re.findall(r"(/\S+) \(0x", linked):
            tar.add(Path(library).resolve(), library.removeprefix("/"))
        for command in ("git", "git-upload-pack"):
            tar.add(Path(program).resolve(), f"bin/{command}")
    name = f"moorage-test/git:{uuid.uuid4()}"
    subprocess.run(["docker", "import", "-", name], input=buffer.getvalue(), capture_output=True, check=True)
    yield name
    docker("image", "rm", "--force", name)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path / "site", capture_output=True, check=True)

    (tmp_path / "site").mkdir()
    git("init")
    (tmp_path / "site" / "index.html").write_text("hello from git\n")
    git("add", ".")
    git("commit", "-m", "first")
    return tmp_path / "site"


async def test_the_recipe(api: Rest, space: str, image: str, git_image: str, repository: Path) -> None:
    page = PAGE.read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page[page.index("### A Git repository in a volume") :], re.DOTALL)[:1]
    body = yaml.safe_load(text)
    clone, web = body["spec"]["initContainers"][0], body["spec"]["containers"][0]
    clone["image"], web["image"] = git_image, image
    clone["imagePullPolicy"] = "Never"
    next(each for each in clone["env"] if each["name"] == "REPOSITORY")["value"] = "file:///repository"
    clone["volumeMounts"].append({"name": "repository", "mountPath": "/repository", "readOnly": True})
    body["spec"]["volumes"].append({"name": "repository", "hostPath": {"path": str(repository)}})
    web["command"] = ["cat", f"{web['volumeMounts'][0]['mountPath']}/index.html"]
    body["spec"]["restartPolicy"] = "Never"
    path = f"/api/v1/namespaces/{space}/pods/{body['metadata']['name']}"
    api.create(f"/api/v1/namespaces/{space}/pods", body)

    def ended() -> bool:
        status = api.get(path)["status"]
        if status["phase"] != "Succeeded":
            log = api.request("GET", f"{path}/log", container="clone").text
            raise NotYet(f"{status} {log}")
        return True

    await until(ended, timeout=60)
    assert api.request("GET", f"{path}/log", container="web").text == "hello from git\n"
    api.delete(path)
