"""ConfigMaps and Secrets as objects: their life, their rules, and what immutable means."""

from __future__ import annotations

import base64

import pytest

from tests.support.rest import Document, Rest

RESOURCES = ["configmaps", "secrets"]


def _path(space: str, resource: str) -> str:
    return f"/api/v1/namespaces/{space}/{resource}"


def _data(resource: str, **data: str) -> dict[str, str]:
    if resource == "configmaps":
        return data
    return {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}


def _document(resource: str, name: str, **data: str) -> Document:
    return {"metadata": {"name": name, "labels": {"test": name}}, "data": _data(resource, **data)}


@pytest.mark.parametrize("resource", RESOURCES)
def test_life(api: Rest, space: str, resource: str) -> None:
    path = _path(space, resource)
    with api.watch(
        path, labelSelector="test=life", resourceVersion=api.get(path)["metadata"]["resourceVersion"]
    ) as events:
        api.create(path, _document(resource, "life", a="1"))
        patch = {"metadata": {"labels": {"state": "patched"}}, "data": _data(resource, a="2")}
        api.patch(f"{path}/life", patch)
        assert api.get(f"{path}/life")["data"] == _data(resource, a="2")
        every = f"/api/v1/{resource}"
        assert api.names(every, labelSelector="test=life,state=patched") == ["life"]
        read = api.get(f"{path}/life")
        read["data"].update(_data(resource, b="3"))
        assert api.replace(f"{path}/life", read)["data"] == _data(resource, a="2", b="3")
        gone = api.delete(path, labelSelector="test=life")
        assert gone["kind"].endswith("List") or gone["kind"] == "Status"
        assert api.names(every, labelSelector="test=life") == []
        assert [next(events)[0] for _ in range(4)] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_an_empty_key_is_refused(api: Rest, space: str, resource: str) -> None:
    message = api.request("POST", _path(space, resource), _document(resource, "empty", **{"": "value"})).refused(422)
    assert 'data[]: Invalid value: ""' in message


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("key", ["..", "../up", "with space", "a" * 254, "ä"])
def test_keys_are_names_of_files(api: Rest, space: str, resource: str, key: str) -> None:
    message = api.request("POST", _path(space, resource), _document(resource, "keys", **{key: "value"})).refused(422)
    assert f"data[{key}]" in message


@pytest.mark.parametrize("resource", RESOURCES)
def test_immutable_is_for_ever_and_for_data_only(api: Rest, space: str, resource: str) -> None:
    path = f"{_path(space, resource)}/fixed"
    api.create(_path(space, resource), _document(resource, "fixed", a="1"))
    assert api.patch(path, {"data": _data(resource, a="2")})["data"] == _data(resource, a="2")
    assert api.patch(path, {"immutable": True})["immutable"] is True
    changed = api.request("PATCH", path, {"data": _data(resource, a="3")}, "application/merge-patch+json")
    assert "data: Forbidden: field is immutable when `immutable` is set" in changed.refused(422)
    undone = api.request("PATCH", path, {"immutable": False}, "application/merge-patch+json")
    assert "immutable: Forbidden: field is immutable when `immutable` is set" in undone.refused(422)
    assert api.patch(path, {"metadata": {"labels": {"still": "here"}}})["metadata"]["labels"]["still"] == "here"
    api.delete(path)
    assert api.missing(path)


def test_binary_data_and_its_rules(api: Rest, space: str) -> None:
    path = _path(space, "configmaps")
    binary = base64.b64encode(b"\xff\x00\xfe").decode()
    made = api.create(path, {"metadata": {"name": "bin"}, "data": {"a": "1"}, "binaryData": {"b": binary}})
    assert made["binaryData"] == {"b": binary}
    both = {"metadata": {"name": "both"}, "data": {"a": "1"}, "binaryData": {"a": binary}}
    assert "duplicate of key present in" in api.request("POST", path, both).refused(422)
    broken = {"metadata": {"name": "broken"}, "binaryData": {"b": "***"}}
    assert api.request("POST", path, broken).code == 400


def test_string_data_is_write_only(api: Rest, space: str) -> None:
    path = _path(space, "secrets")
    made = api.create(path, {"metadata": {"name": "text"}, "stringData": {"a": "one"}})
    assert made["data"] == {"a": "b25l"}
    assert "stringData" not in made
    assert made["type"] == "Opaque"
    api.patch(f"{path}/text", {"stringData": {"b": "two"}})
    assert api.get(f"{path}/text")["data"] == {"a": "b25l", "b": "dHdv"}


@pytest.mark.parametrize(
    ("type_", "data", "words"),
    [
        ("kubernetes.io/tls", {}, "data[tls.crt]: Required value"),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": "bm90IGpzb24="}, "data[.dockerconfigjson]"),
        ("kubernetes.io/basic-auth", {}, "data[username]: Required value"),
        ("kubernetes.io/ssh-auth", {}, "data[ssh-privatekey]: Required value"),
    ],
)
def test_types_of_secrets_have_rules(api: Rest, space: str, type_: str, data: dict[str, str], words: str) -> None:
    body = {"metadata": {"name": "typed"}, "type": type_, "data": data}
    assert words in api.request("POST", _path(space, "secrets"), body).refused(422)


def test_the_type_of_a_secret_stays(api: Rest, space: str) -> None:
    path = f"{_path(space, 'secrets')}/stays"
    api.create(_path(space, "secrets"), {"metadata": {"name": "stays"}})
    refused = api.request("PATCH", path, {"type": "example.com/other"}, "application/merge-patch+json")
    assert "type: Invalid value" in refused.refused(422)
    assert api.names(_path(space, "secrets"), fieldSelector="type=Opaque,metadata.name=stays") == ["stays"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_megabyte_is_the_limit(api: Rest, space: str, resource: str) -> None:
    body = _document(resource, "huge", a="x" * (1024 * 1024 + 1))
    assert "Too long: may not be more than 1048576 bytes" in api.request("POST", _path(space, resource), body).refused(
        422
    )
