"""The Git host: repositories of others, odd names, refs and trees, bombs, and what a commit makes the server do."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.attacks.arena import Arena, config_map
from tests.attacks.caller import refused
from tests.attacks.pusher import Pusher, Tree, line, pack, push_request
from tests.support.rest import Document

GITOPS = "gitops.moorage.io/v1"


@pytest.fixture(scope="module")
def mallory(arena: Arena, tmp_path_factory: pytest.TempPathFactory) -> Pusher:
    """The attacker's working copy; the victim has a repository ``shop``."""
    vera = Pusher(tmp_path_factory.mktemp("vera") / "work", arena.victim.caller)
    pushed = vera.deploy(
        arena.victim.namespace, "shop", {"app.yaml": yaml.safe_dump(config_map("mine", note=arena.canary))}
    )
    assert pushed.code == 0, pushed.err
    return Pusher(tmp_path_factory.mktemp("mallory") / "work", arena.mallory)


def manifests(*documents: Document) -> str:
    """One file of them."""
    return yaml.safe_dump_all(documents)


def test_repositories_of_others(arena: Arena, mallory: Pusher, tmp_path: Path) -> None:
    """Cloned, fetched, listed and pushed to by none of the attacker's, and whether one is there is not told."""
    victim = arena.victim
    for caller in (arena.mallory, arena.robot, arena.node, arena.as_("x")):
        thief = Pusher(tmp_path / caller.token[:8], caller)
        words = []
        for name in ("shop", "none"):
            listed = thief.git("ls-remote", thief.url(victim.namespace, name))
            cloned = thief.git("clone", "--quiet", thief.url(victim.namespace, name), "copy")
            pushed = thief.deploy(victim.namespace, name, {"a.yaml": manifests(config_map("a"))})
            for result in (listed, cloned, pushed):
                assert result.code != 0, (result.out, result.err)
                assert arena.canary not in result.out + result.err
            words.append((listed.err + pushed.err).replace(f'"{name}"', '"..."').replace(f"/{name}.git", "/....git"))
        assert words[0] == words[1]
    assert victim.caller.send("GET", victim.at("configmaps", "a")).code == 404


def test_paths_into_the_host(arena: Arena, mallory: Pusher) -> None:
    """Names that climb, files of the repository, and the protocol without a service."""
    victim, attacker = arena.victim, arena.attacker
    own = attacker.namespace
    for path in (
        f"/git/{own}/../{victim.namespace}/shop.git/info/refs?service=git-upload-pack",
        f"/git/{own}/..%2F{victim.namespace}%2Fshop.git/info/refs?service=git-upload-pack",
        f"/git/{own}%2F..%2F{victim.namespace}/shop.git/info/refs?service=git-upload-pack",
        f"/git//{victim.namespace}/shop.git/info/refs?service=git-upload-pack",
        "/git/../../../../etc/passwd",
        "/git/..%2F..%2F..%2F..%2Fetc%2Fpasswd/x.git/info/refs?service=git-upload-pack",
        f"/git/{own}/-x.git/info/refs?service=git-receive-pack",
        f"/git/{own}/--upload-pack=id.git/info/refs?service=git-receive-pack",
        f"/git/{own}/a%00b.git/info/refs?service=git-receive-pack",
        f"/git/{own}/a%0Ab.git/info/refs?service=git-receive-pack",
        f"/git/{own}/x.git/info/refs?service=git-upload-archive",
        f"/git/{own}/x.git/info/refs?service=--help",
        f"/git/{own}/x.git/info/refs",
        f"/git/{victim.namespace}/shop.git/HEAD",
        f"/git/{victim.namespace}/shop.git/config",
        f"/git/{victim.namespace}/shop.git/objects/info/packs",
        f"/git/{own}/x.git/info/lfs/objects/batch",
    ):
        for method in ("GET", "POST"):
            answer = arena.mallory.send(method, path)
            assert answer.code in (400, 401, 403, 404, 405), (path, answer.code, answer.text)
            assert "root:" not in answer.text
            assert arena.canary not in answer.text


def test_refs_beside_the_deploy_branch(arena: Arena, mallory: Pusher) -> None:
    """Replacements, notes and odd names change nothing of what is deployed, and lead out of no repository."""
    own = arena.attacker.namespace
    good = mallory.blob(manifests(config_map("good", v="1")))
    evil = mallory.blob(manifests(config_map("evil", v="1")))
    commit = mallory.commit(mallory.tree([("100644", "a.yaml", good)]))
    other = mallory.commit(mallory.tree([("100644", "a.yaml", evil)]))
    pushed = mallory.push(own, "refs", commit)
    assert pushed.code == 0, pushed.err
    for what, ref in ((other, f"refs/replace/{commit}"), (evil, f"refs/replace/{good}"), (other, "refs/notes/commits")):
        assert mallory.push(own, "refs", what, ref).code != 0, ref
    assert mallory.push(own, "refs", other, "refs/heads/other").code == 0
    assert arena.mallory.send("GET", arena.attacker.at("configmaps", "good")).code == 200
    assert arena.mallory.send("GET", arena.attacker.at("configmaps", "evil")).code == 404
    names = (
        b"HEAD",
        b"refs/heads/../../../../x",
        b"refs/heads/-x",
        b"--upload-pack=id",
        b"refs/heads/a..b",
        b"refs/heads/a.lock",
        b"refs/heads/a\nb",
        b"refs/heads/a b",
        b"refs/heads/\xff",
        b"refs/../config",
        b"config",
        b"../" * 20 + b"tmp/x",
        b"refs/heads/" + b"x" * 5000,
    )
    path = f"/git/{own}/refs.git/git-receive-pack"
    for name in names:
        body = push_request(name, commit, pack())
        answer = arena.mallory.send("POST", path, body, "application/x-git-receive-pack-request", headers=_basic(arena))
        assert answer.code in (200, 400, 403, 413, 422), (name, answer.code, answer.text)
        if answer.code == 200 and name != b"refs/heads/-x":
            assert "\nok " not in answer.text.replace("ok refs/heads/-x", ""), (name, answer.text)
    listed = mallory.git("ls-remote", mallory.url(own, "refs")).out
    assert ".." not in listed
    assert mallory.push(own, "refs", commit).code == 0


def _basic(arena: Arena) -> dict[str, str]:
    return {"Authorization": f"Bearer {arena.mallory.token}"}


def test_trees_that_reach_out(arena: Arena, mallory: Pusher, tmp_path: Path) -> None:
    """Hooks, configuration, attributes, links and submodules in a tree: refused, or nothing but files."""
    own, marker = arena.attacker.namespace, tmp_path / "marker"
    script = mallory.blob(f"#!/bin/sh\ntouch {marker}\n")
    fine = mallory.blob(manifests(config_map("fine")))
    modules = mallory.blob(f'[submodule "x"]\n\tpath = x\n\turl = --upload-pack=touch {marker}\n')
    attributes = mallory.blob("* filter=evil diff=evil merge=evil\n")
    link = mallory.blob("/etc/passwd")
    hooks = mallory.tree([("100755", name, script) for name in ("post-receive", "pre-receive", "update")])
    config = mallory.tree([("100644", "config", mallory.blob(f"[core]\n\tfsmonitor = touch {marker}\n"))])
    pointer = mallory.blob("version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 1\n")
    trees: dict[str, Tree] = {
        "hooks": [("100644", "a.yaml", fine), ("40000", "hooks", hooks)],
        "dot git": [("40000", ".git", config), ("100644", "a.yaml", fine)],
        "dot git in capitals": [("40000", ".GIT", config), ("100644", "a.yaml", fine)],
        "dot git with a mark": [("40000", ".g\u200cit", config), ("100644", "a.yaml", fine)],
        "modules": [("100644", ".gitmodules", modules), ("100644", "a.yaml", fine), ("160000", "x", "1" * 40)],
        "attributes": [("100644", ".gitattributes", attributes), ("100644", "a.yaml", fine)],
        "link": [("120000", "a.yaml", link)],
        "linked folder": [("120000", "sub", mallory.blob("../../../../etc"))],
        "dots": [("100644", "..", fine)],
        "slash": [("100644", "../../x.yaml", fine)],
        "absolute": [("100644", "/etc/x.yaml", fine)],
        "twice": [("100644", "a.yaml", fine), ("100644", "a.yaml", script)],
        "set user id": [("104755", "a.yaml", fine)],
        "big file elsewhere": [("100644", "a.yaml", pointer)],
    }
    accepted = set()
    for number, (what, tree) in enumerate(trees.items()):
        pushed = mallory.push(own, f"tree-{number}", mallory.commit(mallory.tree(tree)))
        assert "root:" not in pushed.err, what
        if pushed.code == 0:
            accepted.add(what)
    assert accepted <= {"hooks", "attributes", "linked folder", "set user id"}, accepted
    assert not marker.exists()


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """An address of this machine, and who connected to it."""
    seen: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as trap:

        def accept() -> None:
            while True:
                try:
                    connection, _ = trap.accept()
                except OSError:
                    return
                seen.append("connected")
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{trap.getsockname()[1]}", seen
        trap.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_manifests_that_name_addresses(arena: Arena, mallory: Pusher) -> None:
    """Nothing of a commit makes the server open a connection: no base, chart, submodule or large file is fetched."""
    own = arena.attacker.namespace
    with listening() as (address, seen):
        kustomization: Document = {
            "resources": [f"http://{address}/base", f"git::http://{address}/x?ref=--upload-pack=id"]
        }
        chart = {
            "apiVersion": "v2",
            "name": "x",
            "version": "1.0.0",
            "dependencies": [{"name": "y", "repository": f"http://{address}"}],
        }
        lfs = f"[lfs]\n\turl = http://{address}/lfs\n"
        trees: list[dict[str, str | bytes]] = [
            {"kustomization.yaml": yaml.safe_dump(kustomization), "a.yaml": manifests(config_map("a"))},
            {
                "kustomization.yaml": yaml.safe_dump(
                    {**kustomization, "kind": "Kustomization", "apiVersion": "kustomize.config.k8s.io/v1beta1"}
                )
            },
            {"Chart.yaml": yaml.safe_dump(chart), "values.yaml": "a: b"},
            {".lfsconfig": lfs, ".gitattributes": "*.yaml filter=lfs\n", "a.yaml": manifests(config_map("a"))},
            {"a.yaml": f"$ref: http://{address}/x\n"},
            {"a.yaml": "a: !!python/object/apply:os.system ['id']\n"},
            {"a.yaml": "a: !include /etc/passwd\n"},
        ]
        for number, files in enumerate(trees):
            pushed = mallory.deploy(own, f"fetch-{number}", files)
            assert "root:" not in pushed.err
            assert "uid=" not in pushed.err
        for spec in ({"url": f"http://{address}/x.git"}, {"source": {"url": f"ssh://{address}/x"}}):
            for plural in ("repositories", "applications"):
                body = {"metadata": {"name": f"remote-{plural}"}, "spec": spec}
                arena.mallory.send("POST", arena.attacker.at(plural, group=GITOPS), body)
        assert not seen


def test_manifests_for_other_places(arena: Arena, mallory: Pusher) -> None:
    """A push may do what its pusher may, and undoes itself whole where one object may not be."""
    own, victim = arena.attacker.namespace, arena.victim
    mine = config_map("alongside")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "attack"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": arena.attacker.owner}],
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": victim.namespace, "labels": {"a": "b"}}}
    tenant = {
        "apiVersion": "tenancy.moorage.io/v1",
        "kind": "Tenant",
        "metadata": {"name": arena.attacker.tenant},
        "spec": {"owners": [{"kind": "User", "name": "eve"}]},
    }
    privileged = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "evil"},
        "spec": {"containers": [{"name": "x", "image": "x", "securityContext": {"privileged": True}}]},
    }
    owned = {
        **config_map("settings", victim.namespace),
        "metadata": {"name": "settings", "namespace": victim.namespace},
    }
    for number, evil in enumerate((config_map("there", victim.namespace), owned, role, namespace, tenant, privileged)):
        pushed = mallory.deploy(own, f"elsewhere-{number}", {"a.yaml": manifests(mine, evil)})
        assert pushed.code != 0, evil
        assert arena.canary not in pushed.err
    assert arena.mallory.send("GET", arena.attacker.at("configmaps", "alongside")).code == 404
    assert victim.caller.get(victim.at("configmaps", "settings"))["data"]["note"] == arena.canary


def test_a_prune_takes_nothing_of_others(arena: Arena, mallory: Pusher) -> None:
    """Labels that claim an application's ownership do not make its next push delete or adopt what is another's."""
    own, victim = arena.attacker.namespace, arena.victim
    assert mallory.deploy(own, "shop", {"a.yaml": manifests(config_map("one"), config_map("two"))}).code == 0
    claimed = {"metadata": {"labels": {"gitops.moorage.io/application": "shop"}}}
    assert victim.caller.merge(victim.at("configmaps", "settings"), claimed).code == 200
    tree = mallory.tree([("100644", "a.yaml", mallory.blob(manifests(config_map("one"))))])
    pushed = mallory.push(own, "shop", mallory.commit(tree), "refs/heads/main", "-o", "rewrite-history")
    assert pushed.code == 0, pushed.err
    assert arena.mallory.send("GET", arena.attacker.at("configmaps", "two")).code == 404
    for name in ("settings", "mine"):
        assert victim.caller.send("GET", victim.at("configmaps", name)).code == 200
    forged = {
        "metadata": {"name": "forged"},
        "spec": {"repository": f"../{victim.namespace}/shop", "namespace": victim.namespace},
    }
    refused(arena.mallory.send("POST", arena.attacker.at("applications", group=GITOPS), forged), 201, 400, 403, 422)


def test_names_in_repositories_that_are_options(arena: Arena) -> None:
    """What a Repository says is given to Git as a value, and what could be an option or a path is refused."""
    path = arena.attacker.at("repositories", group=GITOPS)
    for number, spec in enumerate(
        (
            {"deployBranch": "--upload-pack=id"},
            {"deployBranch": "-x"},
            {"deployBranch": "../../x"},
            {"deployBranch": "a\nb"},
            {"deployBranch": "a..b"},
            {"path": "../../etc"},
            {"path": "/etc"},
            {"path": "a/../../b"},
        )
    ):
        refused(arena.mallory.send("POST", path, {"metadata": {"name": f"odd-{number}"}, "spec": spec}), 422, 400)


def test_yaml_bombs(arena: Arena, mallory: Pusher) -> None:
    """Aliases of aliases, depth, length and numbers of documents: refused with a reason, soon."""
    own = arena.attacker.namespace
    laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    bombs: dict[str, str | bytes] = {
        "aliases": laughs,
        "self": "a: &a [*a]\n",
        "merge": "a: &a {<<: *a}\n",
        "deep lists": "[" * 20_000,
        "deep maps": "{a: " * 20_000,
        "deep json": '{"a":' * 20_000,
        "long": "a" * (4 << 20),
        "documents": "---\n{}\n" * 20_000,
        "digits": "a: " + "9" * 100_000,
        "digits in json": '{"a": ' + "9" * 390 + "}",
        "anchors": "".join(f"a{n}: &x{n} 1\n" for n in range(20_000)),
        "keys": "{" + ",".join(f"k{n}: 1" for n in range(60_000)) + "}",
        "nothing": b"\0" * 100_000,
        "bytes": b"\xff\xfe" * 50_000,
    }
    for number, (what, text) in enumerate(bombs.items()):
        pushed = mallory.deploy(own, f"bomb-{number}", {"a.yaml": text})
        # What holds no object may be left out.
        assert pushed.code != 0 or "0 objects read" in pushed.err, (what, pushed.err)
        assert "Traceback" not in pushed.err
        assert "internal error" not in pushed.err.lower(), (what, pushed.err)
    assert arena.mallory.send("GET", arena.attacker.at("configmaps")).code == 200


def test_pack_bombs(arena: Arena, mallory: Pusher) -> None:
    """Packs that unpack to much, claim much, or are not there: refused within limits, and the next push goes on."""
    own = arena.attacker.namespace
    zeros = bytes(8 << 20)
    commit = mallory.commit(mallory.tree([("100644", "a.yaml", mallory.blob(manifests(config_map("a"))))]))
    level = mallory.tree([("100644", "a.yaml", mallory.blob("a: b\n"))])
    for _ in range(9):
        level = mallory.tree([("40000", f"d{n}", level) for n in range(10)])
    explosion = mallory.push(own, "explosion", mallory.commit(level))
    assert explosion.code != 0
    deep = mallory.tree([("100644", "a.yaml", mallory.blob(manifests(config_map("deep"))))])
    for _ in range(120):
        deep = mallory.tree([("40000", "d" * 50, deep)])
    mallory.push(own, "deep", mallory.commit(deep))
    huge = mallory.push(own, "huge", mallory.commit(mallory.tree([("100644", "a.yaml", mallory.blob(zeros))])))
    assert huge.code != 0
    path = f"/git/{own}/packs.git/git-receive-pack"
    kind = "application/x-git-receive-pack-request"
    bodies = [
        push_request(b"refs/heads/main", commit, pack(count=2**32 - 1)),
        push_request(b"refs/heads/main", commit, pack((3, b"x"), count=400_000)),
        push_request(b"refs/heads/main", commit, pack((3, b"x"))[:-25]),
        push_request(b"refs/heads/main", commit, b"PACK\0\0\0\x09" + b"\xff" * 100),
        push_request(b"refs/heads/main", commit, pack((7, b"\x11" * 20 + b"x"))),
        b"ffff" + b"x" * 100,
        b"0004" * 10_000,
        b"",
        line("0" * 200) + b"0000",
    ]
    for body in bodies:
        answer = arena.mallory.send("POST", path, body, kind)
        assert answer.code in (200, 400, 413, 422), (body[:60], answer.code, answer.text)
        assert "\nok " not in answer.text
    zipped = gzip.compress(bytes(40 << 20), 9)
    for service in ("git-receive-pack", "git-upload-pack"):
        answer = arena.mallory.send(
            "POST",
            f"/git/{own}/packs.git/{service}",
            zipped,
            f"application/x-{service}-request",
            headers={"Content-Encoding": "gzip"},
        )
        assert answer.code in (200, 400, 404, 413, 415, 422), answer.text
    assert mallory.push(own, "packs", commit, "refs/heads/main", "-o", "adopt").code == 0
