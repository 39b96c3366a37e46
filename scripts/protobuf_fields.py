"""Read the protobuf field numbers of the Kubernetes API out of a kubectl binary, for ``moorage/api/protobuf/fields.json``.

usage: python scripts/protobuf_fields.py KUBECTL > fields.json

The published OpenAPI definitions do not say under which numbers fields travel as protobuf, which kubectl and
client-go use for writes. The Go
types do, in their struct tags, and a Go binary carries its types for reflection (``internal/abi/type.go`` of the Go
sources describes the layout).
The answer maps each definition's name to ``{number: [JSON name, type, flags]}``; flags: ``p`` pointer, ``o``
omitempty, ``i`` inline, ``l`` list.
"""

from __future__ import annotations

import json
import re
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

BOOL, INT, INT32, INT64, UINT8, FLOAT64, MAP, POINTER, SLICE, STRING, STRUCT = 1, 2, 5, 6, 8, 14, 21, 22, 23, 24, 25
SCALARS = {
    BOOL: "bool",
    INT: "int",
    INT32: "int",
    3: "int",
    4: "int",
    INT64: "int",
    FLOAT64: "double",
    STRING: "string",
}
STABLE = re.compile(r"\.v\d+\.\w+$")
"""Definitions of stable versions: no others are served."""
PACKAGES = {"k8s.io/api/": "io.k8s.api.", "k8s.io/apimachinery/": "io.k8s.apimachinery."}


@dataclass(frozen=True)
class Section:
    """A part of the file as it is mapped into memory."""

    address: int
    offset: int
    size: int


class Binary:
    """A statically linked, position-dependent 64-bit ELF file written by the Go linker."""

    def __init__(self, data: bytes) -> None:
        if data[:5] != b"\x7fELF\x02":
            raise SystemExit("not a 64-bit ELF file")
        self.data = data
        self.sections = self._sections()
        self.types = self._types_base()

    def _sections(self) -> dict[str, Section]:
        start, size, count, names = (
            *struct.unpack_from("<Q", self.data, 0x28),
            *struct.unpack_from("<HHH", self.data, 0x3A),
        )
        headers = [struct.unpack_from("<IIQQQQ", self.data, start + number * size) for number in range(count)]
        table = headers[names][4]
        found = {}
        for name, _, _, address, offset, length in headers:
            text = self.data[table + name : self.data.index(b"\0", table + name)].decode()
            found[text] = Section(address, offset, length)
        return found

    def at(self, address: int) -> int:
        """The file offset of an address. Raises ValueError outside the mapped sections."""
        for section in self.sections.values():
            if section.address and section.address <= address < section.address + section.size:
                return section.offset + address - section.address
        raise ValueError(f"nothing is mapped at {address:#x}")

    def word(self, address: int) -> int:
        """Eight bytes at an address."""
        value: int = struct.unpack_from("<Q", self.data, self.at(address))[0]
        return value

    def text(self, address: int) -> tuple[str, str]:
        """A Go ``abi.Name``: (name, tag)."""
        position = self.at(address)
        flags = self.data[position]
        name, position = self._string(position + 1)
        tag = self._string(position)[0] if flags & 2 else ""
        return name, tag

    def _string(self, position: int) -> tuple[str, int]:
        length = shift = 0
        while True:
            byte = self.data[position]
            length |= (byte & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if not byte & 0x80:
                break
        return self.data[position : position + length].decode("utf-8", "replace"), position + length

    def typelinks(self) -> list[int]:
        """Addresses of the types that the linker lists: the unnamed ones, pointers to structs among them."""
        section = self.sections[".typelink"]
        offsets = struct.unpack_from(f"<{section.size // 4}i", self.data, section.offset)
        return [self.types + offset for offset in offsets]

    def _types_base(self) -> int:
        """Where offsets of types count from: the word of the module data for which the type links make sense."""
        module, rodata = self.sections[".go.module"], self.sections[".rodata"]
        links = self.sections[".typelink"]
        some = struct.unpack_from("<64i", self.data, links.offset)
        for position in range(module.offset, module.offset + module.size, 8):
            base: int = struct.unpack_from("<Q", self.data, position)[0]
            if rodata.address <= base < rodata.address + rodata.size:
                self.types = base
                if all(self._is_unnamed(base + offset) for offset in some):
                    return base
        raise SystemExit("the module data names no base of types: the Go release lays them out differently")

    def _is_unnamed(self, address: int) -> bool:
        try:
            return self.kind(address) in (MAP, POINTER, SLICE, 17, 18, 19) and self.name(address) != ""
        except (ValueError, IndexError):
            return False

    def kind(self, address: int) -> int:
        """A type's kind."""
        return self.data[self.at(address) + 23] & 0x1F

    def name(self, address: int) -> str:
        """A type's short name, ``v1.Pod``."""
        position = self.at(address)
        name = self.text(self.types + struct.unpack_from("<i", self.data, position + 40)[0])[0]
        return name[1:] if self.data[position + 20] & 2 else name

    def package(self, address: int) -> str:
        """The import path of a struct type's package, or ""."""
        position = self.at(address)
        if not self.data[position + 20] & 1:
            return ""
        return self.text(self.types + struct.unpack_from("<i", self.data, position + 80)[0])[0]

    def element(self, address: int) -> int:
        """What a pointer or slice is of (for a map: its key; the value is the next word)."""
        return self.word(address + 48)

    def fields(self, address: int) -> list[tuple[str, str, int]]:
        """(name, tag, type) of a struct's fields."""
        first, count = self.word(address + 56), self.word(address + 64)
        return [
            (*self.text(self.word(first + 24 * number)), self.word(first + 24 * number + 8)) for number in range(count)
        ]


def definition(binary: Binary, address: int) -> str:
    """The name that OpenAPI gives a struct type, or "" for one that is not of the API."""
    package = binary.package(address)
    for prefix, name in PACKAGES.items():
        if package.startswith(prefix):
            return name + package.removeprefix(prefix).replace("/", ".") + "." + binary.name(address).rpartition(".")[2]
    return ""


def describe(binary: Binary, address: int) -> tuple[str, str]:
    """(type, flags) of a field."""
    kind = binary.kind(address)
    if kind == POINTER:
        type_, flags = describe(binary, binary.element(address))
        return type_, flags + "p"
    if kind == SLICE:
        if binary.kind(binary.element(address)) == UINT8:
            return "bytes", ""
        type_, flags = describe(binary, binary.element(address))
        return type_, flags.replace("p", "") + "l"
    if kind == MAP:
        return "map:" + describe(binary, binary.word(address + 56))[0], ""
    if kind == STRUCT:
        return definition(binary, address), ""
    return SCALARS[kind], ""


def message(binary: Binary, address: int) -> dict[str, list[str]]:
    """The numbered fields of a struct type."""
    found = {}
    for name, tag, type_ in binary.fields(address):
        number = re.search(r'protobuf:"\w+,(\d+)', tag)
        words = (re.search(r'json:"([^"]*)"', tag) or ["", ""])[1].split(",")
        if number is None:
            continue
        described, flags = describe(binary, type_)
        flags += "o" * ("omitempty" in words or "omitzero" in words) + "i" * (
            "inline" in words or (not words[0] and name[0].isupper())
        )
        found[number[1]] = [words[0] or name, described, flags]
    return found


def main(path: str) -> None:
    """Print the table of every API type in the binary."""
    binary = Binary(Path(path).read_bytes())
    messages = {}
    for address in binary.typelinks():
        if binary.kind(address) == POINTER and binary.kind(binary.element(address)) == STRUCT:
            target = binary.element(address)
            name = definition(binary, target)
            if STABLE.search(name) and (fields := message(binary, target)):
                messages[name] = fields
    print(json.dumps(messages, indent=None, separators=(",", ":"), sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1])
