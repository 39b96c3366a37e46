"""Bad input: each push is refused with file, line and reason in the pusher's terminal, and nothing is stored."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.integration.gitops.conftest import add_namespace
from tests.integration.gitops.manifests import config_map, deployment, many
from tests.integration.gitops.rig import Ran, Rig, Work

SECRET = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: canary-1234\n  port: 5432\n"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CASES: dict[str, tuple[dict[str, str | bytes], list[str]]] = {
    "wrong type": (
        {"web.yaml": deployment(replicas="three")},
        [
            'web.yaml:6: Deployment shop/web: spec.replicas: Invalid value: "three": must be an integer',
            "6 | replicas: three",
        ],
    ),
    "unknown field": (
        {"web.yaml": deployment("other", replcas=2)},
        ['web.yaml:17: Deployment shop/other: unknown field "spec.replcas"; did you mean replicas?'],
    ),
    "bad name": (
        {"cm.yaml": config_map("Bad_Name")},
        ["cm.yaml:4: ConfigMap shop/Bad_Name: metadata.name: Invalid value"],
    ),
    "bad value": (
        {"d/web.yaml": "# head\n" + deployment().replace("image: registry.test/web:1", "image: ''")},
        ["d/web.yaml:17: Deployment shop/web: spec.template.spec.containers[0].image: Required value"],
    ),
    "unknown kind": (
        {"a.yaml": "apiVersion: v1\nkind: Deployment\nmetadata: {name: x}\n"},
        ['a.yaml:2: no matches for kind "Deployment" in version "v1"; did you mean Deployment in apps/v1?'],
    ),
    "no kind": ({"a.yaml": "apiVersion: v1\nmetadata: {name: x}\n"}, ["a.yaml:1: kind: Required value"]),
    "no name": (
        {"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"},
        ["a.yaml:3: ConfigMap: metadata.name: Required"],
    ),
    "name is true": ({"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\n"}, ["put it in quotes"]),
    "generated name": (
        {"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: y-}\n"},
        ["generateName has no meaning in Git"],
    ),
    "not a mapping": ({"a.yaml": "- a\n- b\n"}, ["a.yaml:1: a manifest must be a mapping", "not a list"]),
    "broken yaml": ({"a.yaml": "a: 1\nb: [1\nc: 2\n"}, ["a.yaml:3: not valid YAML"]),
    "broken json": ({"a.json": '{"apiVersion": "v1",\n "kind": }'}, ["a.json:2: not valid JSON: expected a value"]),
    "duplicate key": (
        {"a.yaml": config_map("a") + "kind: Secret\n"},
        ['a.yaml:6: duplicate key "kind" (first on line 2); keep one'],
    ),
    "twice": (
        {"a.yaml": config_map("x", k="1"), "b.yaml": "\n" + config_map("x", k="2")},
        ["b.yaml:2: ConfigMap shop/x: appears twice, first in a.yaml:1"],
    ),
    "bomb": ({"a.yaml": BOMB}, ["too large when its aliases"]),
    "deep": ({"a.yaml": "[" * 50_000}, ["a.yaml:1: nested deeper than 100 levels"]),
    "deep json": ({"a.json": "[" * 50_000}, ["a.json:1: nested deeper than 100 levels"]),
    "big": ({"a.yaml": b"a: " + b"x" * (3 << 20)}, ["a manifest may have 3145728"]),
    "binary": ({"a.yaml": b"\x7fELF\x00\x01"}, ["a.yaml:1: not a text file"]),
    "not UTF-8": ({"a.yaml": b"a: 1\nb: \xff\n"}, ["a.yaml:2: not valid UTF-8"]),
    "UTF-16": ({"a.yaml": "a: 1\n".encode("utf-16")}, ["a.yaml:1: not a text file"]),
    "U+0000": ({"a.yaml": config_map("a") + 'x: "\\0"\n'}, ["the character U+0000 cannot be stored"]),
    "wrong namespace type": (
        {"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: 5}\n"},
        ["metadata.namespace: must be a text"],
    ),
    "namespace of a cluster's object": (
        {"a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, namespace: shop}\n"},
        ["Namespace x: metadata.namespace: Forbidden"],
    ),
    "missing namespace": (
        {"a.yaml": config_map("x", "nowhere", k="1")},
        ["ConfigMap nowhere/x", 'namespaces "nowhere" not found'],
    ),
    "its own application": (
        {
            "a.yaml": "apiVersion: gitops.moorage.io/v1\nkind: Application\nmetadata: {name: web}\nspec: {prune: false}\n"
        },
        ["Application web: is what deploys this commit"],
    ),
    "too many objects": ({"a.yaml": many([f"x{i}" for i in range(30)])}, ["31 objects; one commit may deploy 30"]),
}


def assert_nothing_stored(rig: Rig, pushed: Ran) -> None:
    """Refused, and as if it had never been."""
    assert pushed.code != 0
    assert "! [remote rejected]" in pushed.err
    assert rig.store.rows == {}
    for group, resource in (("", "configmaps"), ("", "secrets"), ("apps", "deployments")):
        assert rig.names(group, resource) == []
    for resource in ("repositories", "applications"):
        assert rig.names("gitops.moorage.io", resource) == []
    assert [path.name for path in (rig.directory / "git").glob("*.git")] == ["empty-repository.git"]


# Mistakes of one stage are told together, so one push tries many of them.
GROUPS = {
    "unreadable": [
        "not a mapping",
        "broken yaml",
        "broken json",
        "duplicate key",
        "bomb",
        "deep",
        "deep json",
        "binary",
        "not UTF-8",
        "UTF-16",
        "U+0000",
    ],
    "no objects": [
        "wrong type",
        "unknown field",
        "unknown kind",
        "no kind",
        "no name",
        "name is true",
        "generated name",
        "twice",
        "wrong namespace type",
        "namespace of a cluster's object",
        "its own application",
    ],
    "refused by the API": ["bad name", "bad value", "missing namespace"],
    "too large": ["big"],
    "too many": ["too many objects"],
}


def test_every_case_is_tried() -> None:
    assert sorted(case for group in GROUPS.values() for case in group) == sorted(CASES)


@pytest.mark.parametrize("group", GROUPS)
async def test_mistakes_refuse_the_push(small_rig: Rig, work: Work, group: str) -> None:
    files: dict[str, str | bytes] = {"good.yaml": config_map("good", key="value")}
    words = []
    for number, case in enumerate(GROUPS[group]):
        folder = f"case{number:02}"
        files |= {f"{folder}/{path}": text for path, text in CASES[case][0].items()}
        words += [re.sub(r"\b(\w/)?\w+\.(yaml|json)(?=:\d)", rf"{folder}/\g<0>", text) for text in CASES[case][1]]
    await work.commit(files)

    pushed = await work.push(small_rig.url())

    for word in words:
        assert word in pushed.err, pushed.err
    assert "nothing was applied and the branch did not move" in pushed.err
    assert_nothing_stored(small_rig, pushed)


async def test_the_server_goes_on(small_rig: Rig, work: Work) -> None:
    for case in ("bomb", "deep", "binary", "broken yaml", "wrong type"):
        files, _ = CASES[case]
        await work.commit(files)
        assert (await work.push(small_rig.url())).code != 0
        for path in files:
            (work.directory / path).unlink()
    await work.commit({"good.yaml": config_map("good", key="value")})

    pushed = await work.push(small_rig.url())

    assert pushed.code == 0, pushed.err


async def test_every_mistake_is_told_up_to_twenty(rig: Rig, work: Work) -> None:
    await work.commit({f"web{i:02}.yaml": deployment(f"web{i}", replicas="x") for i in range(25)})

    pushed = await work.push(rig.url())

    assert "web00.yaml:6" in pushed.err
    assert "... and 5 more" in pushed.err
    assert "25 mistakes in 25 files" in pushed.err
    assert "! [remote rejected] HEAD -> main (25 mistakes in 25 files, the first: web00.yaml:6:" in pushed.err


async def test_the_reason_stands_in_the_report(rig: Rig, work: Work) -> None:
    await work.commit({"web.yaml": deployment(replicas="three")})

    pushed = await work.push(rig.url())

    assert "! [remote rejected] HEAD -> main (web.yaml:6: Deployment shop/web: " in pushed.err
    assert "hook declined" not in pushed.err


async def test_no_value_of_a_secret_is_printed(rig: Rig, work: Work) -> None:
    await work.commit({"s.yaml": SECRET, "t.yaml": SECRET.replace("name: s", "name: t").replace("stringData", "data")})

    pushed = await work.push(rig.url())

    assert (
        "s.yaml:7: Secret shop/s: stringData[port]: Invalid value: <hidden>: must be a text; put it in quotes"
        in pushed.err
    )
    assert "t.yaml" in pushed.err
    assert "canary" not in pushed.err
    assert "5432" not in pushed.err
    assert_nothing_stored(rig, pushed)


async def test_another_namespace_needs_the_right(rig: Rig, work: Work) -> None:
    await add_namespace(rig, "other")
    await work.commit({"a.yaml": config_map("x", "other", k="1"), "b.yaml": config_map("mine", k="1")})

    pushed = await work.push(rig.url(token="shop-token"))

    assert 'a.yaml:1: ConfigMap other/x: configmaps "x" is forbidden: User "team:shop" cannot patch' in pushed.err
    assert_nothing_stored(rig, pushed)
    assert (await work.push(rig.url())).code == 0, "the administrator may"


async def test_cluster_scope_needs_the_right(rig: Rig, work: Work) -> None:
    await work.commit({"ns.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n"})

    pushed = await work.push(rig.url(token="shop-token"))

    assert 'ns.yaml:1: Namespace mine: namespaces "mine" is forbidden' in pushed.err
    assert_nothing_stored(rig, pushed)


async def test_a_namespace_and_its_contents_are_one_commit(rig: Rig, work: Work) -> None:
    await work.commit(
        {
            "a.yaml": config_map("x", "fresh", k="1"),
            "ns.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: fresh}\n",
        }
    )

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err
    assert rig.get("", "configmaps", "fresh", "x") is not None


async def test_a_symbolic_link_is_not_followed(rig: Rig, work: Work, tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(config_map("outside", k="1"))
    os.symlink(tmp_path / "outside.yaml", work.directory / "link.yaml")
    os.symlink("/etc", work.directory / "folder")
    await work.commit({"good.yaml": config_map("good", k="1")})

    pushed = await work.push(rig.url())

    assert "link.yaml: a symbolic link is not followed; commit the file itself" in pushed.err
    assert_nothing_stored(rig, pushed)


async def test_a_submodule_is_refused(rig: Rig, work: Work) -> None:
    commit = await work.commit({"good.yaml": config_map("good", k="1")})
    await work.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendor")
    await work.git("commit", "-q", "-m", "submodule")

    pushed = await work.push(rig.url())

    assert "vendor: a submodule is not read" in pushed.err
    assert_nothing_stored(rig, pushed)


@pytest.mark.parametrize("name", ["..", ".", ".git", "a\\..\\b.yaml", "line\nbreak.yaml", "\x1b[31mred.yaml"])
async def test_odd_paths_are_refused(rig: Rig, work: Work, name: str) -> None:
    blob = (await work.git("hash-object", "-w", "--stdin", stdin=config_map("x", k="1").encode())).out.strip()
    inner = (await work.git("mktree", "-z", stdin=f"100644 blob {blob}\tx.yaml\0".encode())).out.strip()
    if name.endswith(".yaml"):
        raw = b"100644 %b\0%b" % (name.encode(), bytes.fromhex(blob))
    else:
        raw = b"40000 %b\0%b" % (name.encode(), bytes.fromhex(inner))
    tree = (await work.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)).out.strip()
    commit = (await work.git("commit-tree", tree, "-m", "odd")).out.strip()

    pushed = await work.push(rig.url(), refspec=f"{commit}:refs/heads/main")

    assert "\x1b[31m" not in pushed.err
    assert "fsck error" in pushed.err or "a file name must be printable" in pushed.err, pushed.err
    assert_nothing_stored(rig, pushed)


async def test_ten_thousand_manifests_are_refused(rig: Rig, work: Work) -> None:
    await work.import_files({f"f/{i}.yaml": f"number: {i}\n" for i in range(10_000)})

    pushed = await work.push(rig.url())

    assert "f:" in pushed.err or "whole tree" in pushed.err
    assert "10000 manifest files; one commit may deploy 5000" in pushed.err
    assert_nothing_stored(rig, pushed)


async def test_ten_thousand_other_files_are_ignored(rig: Rig, work: Work) -> None:
    others = {f"f/{i}.txt": f"text {i}" for i in range(10_000)}
    await work.import_files({**others, ".ci/x.yaml": "- no manifest", "a.yaml": config_map("a", k="1")})

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err
    assert rig.names("", "configmaps") == ["a"]


async def test_a_tree_of_itself_is_refused(rig: Rig, work: Work) -> None:
    """A few objects that unfold to a million paths."""
    blob = (await work.git("hash-object", "-w", "--stdin", stdin=b"x")).out.strip()
    entry, kind = f"100644 blob {blob}", "blob"
    for _ in range(6):
        tree = (await work.git("mktree", stdin="".join(f"{entry}\tf{i}\n" for i in range(10)).encode())).out.strip()
        entry, kind = f"040000 tree {tree}", "tree"
    assert kind == "tree"
    commit = (await work.git("commit-tree", tree, "-m", "bomb")).out.strip()

    pushed = await work.push(rig.url(), refspec=f"{commit}:refs/heads/main")

    assert "more than 200000 entries" in pushed.err
    assert_nothing_stored(rig, pushed)


async def test_files_that_are_no_objects_are_left_out_and_named(rig: Rig, work: Work) -> None:
    await work.commit(
        {"package.json": '{"name": "app"}', "compose.yml": "services: {}\n", "a.yaml": config_map("a", k="1")}
    )

    pushed = await work.push(rig.url())

    assert pushed.code == 0, pushed.err
    assert "left out package.json: no apiVersion, kind or metadata" in pushed.err
    assert "left out compose.yml" in pushed.err


async def test_a_branch_must_point_to_a_commit(rig: Rig, work: Work) -> None:
    await work.commit({"a.yaml": config_map("a", k="1")})
    await work.git("tag", "-a", "v1", "-m", "tag")

    pushed = await work.push(rig.url(), refspec="refs/tags/v1:refs/heads/main")

    assert pushed.code != 0
    assert rig.store.rows == {}
