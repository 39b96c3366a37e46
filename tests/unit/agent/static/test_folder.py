"""The folder of manifests: what is read, what is left alone, what is said of bad files."""

from __future__ import annotations

from pathlib import Path

import orjson

from moorage_agent.static.folder import Folder


class Rig:
    """A folder, and what was said of its files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[tuple[str, str]] = []
        self.folder = Folder(path, "n1", lambda: 1.0, lambda file, why: self.said.append((Path(file).name, why)))

    def write(self, file: str, name: str, image: str = "i") -> None:
        spec = {"containers": [{"name": "c", "image": image}]}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        temporary = self.path.parent / "new"
        temporary.write_bytes(orjson.dumps(document))
        temporary.rename(self.path / file)

    def names(self) -> list[str]:
        return [name for _, name in self.folder.look()]


def rig(tmp_path: Path) -> Rig:
    (tmp_path / "static").mkdir()
    return Rig(tmp_path / "static")


def test_files_come_and_go(tmp_path: Path) -> None:
    here = rig(tmp_path)
    assert here.names() == []
    here.write("a.yaml", "a")
    here.write("b", "b")
    here.write(".hidden", "hidden")
    (here.path / "folder").mkdir()
    here.write("folder/inner.yaml", "inner")
    assert here.names() == ["a-n1", "b-n1"]
    before = here.folder.look()["default", "a-n1"]
    here.write("a.yaml", "a")
    assert here.folder.look()["default", "a-n1"].digest == before.digest, "the same content is the same pod"
    here.write("a.yaml", "a", image="other")
    assert here.folder.look()["default", "a-n1"].digest != before.digest
    (here.path / "b").unlink()
    assert here.names() == ["a-n1"]
    assert here.said == []


def test_a_bad_file_leaves_others_alone_and_keeps_the_pod_that_it_was(tmp_path: Path) -> None:
    here = rig(tmp_path)
    here.write("a", "a")
    (here.path / "bad").write_text("{")
    assert here.names() == ["a-n1"]
    (here.path / "a").write_text("apiVersion: v1\nkind: Po")
    assert here.names() == here.names() == ["a-n1"]
    assert [file for file, _ in here.said] == ["bad", "a"], "once for each content"
    assert here.said[1][1].endswith("the pod that it held before runs on")
    (here.path / "a").unlink()
    assert here.names() == []


def test_two_files_of_one_pod(tmp_path: Path) -> None:
    here = rig(tmp_path)
    here.write("a", "web")
    here.write("b", "web", image="other")
    assert here.names() == here.names() == ["web-n1"]
    assert here.said == [("b", "another file holds the pod default/web-n1 already")]
    (here.path / "a").unlink()
    assert here.folder.look()["default", "web-n1"].pod["spec"]["containers"][0]["image"] == "other"


def test_a_file_alone_and_no_folder_at_all(tmp_path: Path) -> None:
    here = rig(tmp_path)
    assert Rig(tmp_path / "nowhere").names() == []
    here.write("a", "a")
    assert Rig(here.path / "a").names() == ["a-n1"]
