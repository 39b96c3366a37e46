from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from moorage.store.contracts import DataKey, SealContext
from moorage_tenants.sealing import BadKek, DocumentSealer, Kek, new_kek

CONTEXT = SealContext("", "secrets", "a", "name", "uid")
TEXT = st.text(max_size=20)


class Keys:
    """Wrapped keys in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, list[tuple[str, bytes]]] = {}

    async def data_keys(self, namespace: str) -> Sequence[tuple[str, bytes]]:
        return list(self.kept.get(namespace, ()))

    async def add_data_key(self, namespace: str, key_id: str, wrapped: bytes, *, generation: int = 1) -> None:
        self.kept.setdefault(namespace, []).append((key_id, wrapped))

    async def page(self, after: DataKey | None = None, limit: int = 500) -> Sequence[DataKey]:
        found = sorted((space, *key) for space, keys in self.kept.items() for key in keys)
        start = ("", "") if after is None else (after.namespace, after.key_id)
        return [DataKey(space, key_id, 1, key) for space, key_id, key in found if (space, key_id) > start][:limit]


KEK = Kek([b"k" * 32])


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def sealer(keys: Keys) -> DocumentSealer:
    return DocumentSealer(KEK, keys, "cluster")


@given(document=st.binary(max_size=200), context=st.builds(SealContext, TEXT, TEXT, TEXT, TEXT, TEXT))
def test_what_is_sealed_comes_back_and_nothing_of_it_shows(document: bytes, context: SealContext) -> None:
    async def trip() -> None:
        keys = Keys()
        sealed = await DocumentSealer(KEK, keys, "cluster").seal(document, context)
        assert len(document) < 4 or document not in sealed
        assert await DocumentSealer(KEK, keys, "cluster").unseal(sealed, context) == document

    asyncio.run(trip())


async def test_keys_of_all_namespaces_are_loaded_at_once(sealer: DocumentSealer, keys: Keys) -> None:
    contexts = [replace(CONTEXT, namespace=f"n{number}") for number in range(3)]
    sealed = [await sealer.seal(b"x", context) for context in contexts]
    again = DocumentSealer(KEK, keys, "cluster")
    await again.preload()
    keys.kept.clear()
    assert [await again.unseal(each, context) for each, context in zip(sealed, contexts, strict=True)] == [b"x"] * 3


@given(context=st.builds(SealContext, TEXT, TEXT, st.just("a"), TEXT, TEXT))
def test_a_ciphertext_cannot_be_moved(context: SealContext) -> None:
    async def move() -> None:
        sealer = DocumentSealer(KEK, Keys(), "cluster")
        sealed = await sealer.seal(b"secret", CONTEXT)
        if context != CONTEXT:
            with pytest.raises(InvalidTag):
                await sealer.unseal(sealed, context)

    asyncio.run(move())


async def test_nor_to_another_namespace_or_cluster(sealer: DocumentSealer, keys: Keys) -> None:
    sealed = await sealer.seal(b"secret", CONTEXT)
    with pytest.raises(InvalidTag):
        await sealer.unseal(sealed, replace(CONTEXT, namespace="b"))
    keys.kept["b"] = keys.kept["a"]
    with pytest.raises(InvalidTag):
        await DocumentSealer(KEK, keys, "cluster").unseal(sealed, replace(CONTEXT, namespace="b"))
    with pytest.raises(InvalidTag):
        await DocumentSealer(KEK, keys, "other").unseal(sealed, CONTEXT)


async def test_scopes_that_join_to_the_same_text_differ(sealer: DocumentSealer) -> None:
    sealed = await sealer.seal(b"secret", replace(CONTEXT, name="ab", uid="c"))
    with pytest.raises(InvalidTag):
        await sealer.unseal(sealed, replace(CONTEXT, name="a", uid="bc"))


@given(position=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_changed_ciphertext_is_refused(position: int, bit: int) -> None:
    async def change() -> None:
        sealer = DocumentSealer(KEK, Keys(), "cluster")
        sealed = bytearray(await sealer.seal(b"x" * 100, CONTEXT))
        sealed[position % len(sealed)] ^= 1 << bit
        with pytest.raises(InvalidTag):
            await sealer.unseal(bytes(sealed), CONTEXT)

    asyncio.run(change())


@pytest.mark.parametrize(
    "sealed", [b"", b"\x01", b"\x01\xff", b"\x02\x10" + b"0" * 64, b"{}", b"\x01\x01\xff" + b"0" * 40]
)
async def test_what_was_never_sealed_is_refused(sealer: DocumentSealer, sealed: bytes) -> None:
    with pytest.raises(InvalidTag):
        await sealer.unseal(sealed, CONTEXT)


async def test_each_namespace_has_one_key_and_each_document_a_nonce(sealer: DocumentSealer, keys: Keys) -> None:
    sealed = await asyncio.gather(*(sealer.seal(b"same", CONTEXT) for _ in range(20)))
    await sealer.seal(b"same", replace(CONTEXT, namespace="b"))
    assert len(set(sealed)) == 20
    assert {namespace: len(kept) for namespace, kept in keys.kept.items()} == {"a": 1, "b": 1}


async def test_a_key_that_another_server_made_is_found(sealer: DocumentSealer, keys: Keys) -> None:
    other = DocumentSealer(KEK, keys, "cluster")
    await sealer.seal(b"mine", CONTEXT)
    assert await sealer.unseal(await other.seal(b"theirs", CONTEXT), CONTEXT) == b"theirs"


async def test_a_new_kek_reads_what_the_old_one_wrapped(sealer: DocumentSealer, keys: Keys) -> None:
    sealed = await sealer.seal(b"secret", CONTEXT)
    both = Kek([b"n" * 32, b"k" * 32])
    assert await DocumentSealer(both, keys, "cluster").unseal(sealed, CONTEXT) == b"secret"
    with pytest.raises(InvalidTag):
        await DocumentSealer(Kek([b"n" * 32]), keys, "cluster").unseal(sealed, CONTEXT)


def test_a_kek_file_is_read_or_refused_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "kek"
    file.write_text(new_kek())
    Kek.load(file)
    for text in ("", "canary", "00" * 31, "zz" * 32, "\x00\xff"):
        file.write_text(text)
        with pytest.raises(BadKek, match="kek") as refusal:
            Kek.load(file)
        assert "canary" not in str(refusal.value)
    with pytest.raises(BadKek, match="missing"):
        Kek.load(tmp_path / "missing")
