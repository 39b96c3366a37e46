"""The sandbox's image, made here byte by byte: no registry and no compiler is needed to run a pod.

A sandbox holds a pod's network and IPC namespaces. Its one program, as process 1, has these duties: make a network
namespace where it has the right to (``docs/decisions/a-sandbox-makes-its-own-network.md``), give up every right, end at once
on SIGTERM or SIGINT (a process 1 ignores both by default, so it must ask for them), leave no zombies (``SIG_IGN`` with
``SA_NOCLDWAIT`` for SIGCHLD has the kernel reap orphans: sigaction(2)), and otherwise cost nothing. In C::

    unshare(CLONE_NEWNET);                                 // EPERM where the engine has made the network
    capset(&(struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 0}, {0, 0});
    sigaction(SIGCHLD, &(struct sigaction){SIG_IGN, SA_NOCLDWAIT}, NULL);
    sigprocmask(SIG_BLOCK, {SIGINT, SIGTERM}, NULL);       // a blocked signal waits, even for process 1
    while (sigtimedwait({SIGINT, SIGTERM}, NULL, NULL) < 0) ;   // EINTR
    _exit(0);

The file is an ELF64 header, one program header (the whole file, readable and executable), code, data; see elf(5).
"""

from __future__ import annotations

import hashlib
import io
import platform
import struct
import tarfile

BASE = 0x400000
HEADERS = 64 + 56
SIGINT, SIGTERM, SIGCHLD = 2, 15, 17
SIG_IGN, SA_NOCLDWAIT = 1, 2
CLONE_NEWNET = 0x40000000
CAPABILITY_VERSION_3 = 0x20080522

ACTION = struct.pack("<QQQQ", SIG_IGN, SA_NOCLDWAIT, 0, 0)
SIGNALS = struct.pack("<Q", 1 << (SIGINT - 1) | 1 << (SIGTERM - 1))
CAPABILITIES = struct.pack("<II", CAPABILITY_VERSION_3, 0)
NO_CAPABILITIES = bytes(24)
DATA = ACTION + SIGNALS + CAPABILITIES + NO_CAPABILITIES
CAPABILITIES_AT = len(ACTION + SIGNALS)
NO_CAPABILITIES_AT = len(ACTION + SIGNALS + CAPABILITIES)

X86_64, AARCH64 = 62, 183
"""ELF machine numbers."""

_MACHINES = {"x86_64": X86_64, "amd64": X86_64, "aarch64": AARCH64, "arm64": AARCH64}


def binary(machine: str = "") -> bytes:
    """The program as an ELF file for ``machine`` (default: this one's). Raises ValueError for one we have no code for."""
    machine = machine or platform.machine()
    number = _MACHINES.get(machine.lower())
    if number is None:
        raise ValueError(f"no sandbox program for machine {machine!r}; known are {', '.join(sorted(_MACHINES))}")
    code = _x86_64() if number == X86_64 else _aarch64()
    size = HEADERS + len(code) + len(DATA)
    ident = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, number, 1, BASE + HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    return header + segment + code + DATA


def archive(machine: str = "") -> bytes:
    """The root file system of the image as a tar archive, the same bytes every time."""
    program = binary(machine)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo("pause")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()


def reference(machine: str = "") -> str:
    """The image's name; its tag is a hash of the program, so a new program is a new image."""
    return f"moorage/sandbox:{hashlib.sha256(binary(machine)).hexdigest()[:12]}"


def _x86_64() -> bytes:
    """System V ABI: number in eax, arguments in edi, esi, edx, r10d; ``syscall`` keeps rdi, rsi, rdx and r10."""
    clear_rdx, syscall = b"\x31\xd2", b"\x0f\x05"
    size = b"\x41\xba" + struct.pack("<I", 8)  # mov r10d, 8: bytes in a kernel signal set

    def eax(number: int) -> bytes:
        return b"\xb8" + struct.pack("<I", number)

    def edi(value: int) -> bytes:
        return b"\xbf" + struct.pack("<I", value)

    def esi(address: int) -> bytes:
        return b"\xbe" + struct.pack("<I", address)

    def assemble(data: int) -> bytes:
        code = eax(272) + edi(CLONE_NEWNET) + syscall
        code += eax(126) + edi(data + CAPABILITIES_AT) + esi(data + NO_CAPABILITIES_AT) + syscall
        code += eax(13) + edi(SIGCHLD) + esi(data) + clear_rdx + size + syscall
        code += eax(14) + edi(0) + esi(data + len(ACTION)) + syscall
        loop = eax(128) + edi(data + len(ACTION)) + b"\x31\xf6" + syscall + b"\x48\x85\xc0"  # ...; test rax, rax
        loop += b"\x78" + struct.pack("b", -(len(loop) + 2))  # js loop
        return code + loop + eax(231) + edi(0) + syscall

    return assemble(BASE + HEADERS + len(assemble(BASE)))


def _aarch64() -> bytes:
    """AAPCS64: number in x8, arguments in x0..x3; ``svc 0`` keeps all but x0."""
    svc = 0xD4000001

    def mov(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    def mov_high(register: int, value: int) -> int:
        return 0xD2A00000 | value << 5 | register

    def adr(register: int, distance: int) -> int:
        return 0x10000000 | (distance & 3) << 29 | (distance >> 2 & 0x7FFFF) << 5 | register

    def assemble(length: int) -> list[int]:
        code: list[int] = [mov(8, 97), mov_high(0, CLONE_NEWNET >> 16), svc, mov(8, 91)]
        code += [adr(0, length + CAPABILITIES_AT - 4 * len(code))]
        code += [adr(1, length + NO_CAPABILITIES_AT - 4 * len(code)), svc]
        code += [mov(8, 134), mov(0, SIGCHLD)]
        code += [adr(1, length - 4 * len(code)), mov(2, 0), mov(3, 8), svc]
        code += [mov(8, 135), mov(0, 0)]
        code += [adr(1, length + len(ACTION) - 4 * len(code)), svc]
        start = len(code)
        code += [mov(8, 137)]
        code += [adr(0, length + len(ACTION) - 4 * len(code)), mov(1, 0), svc]
        code += [0xB7F80000 | ((start - len(code)) & 0x3FFF) << 5]  # tbnz x0, #63, start
        return [*code, mov(8, 94), mov(0, 0), svc]

    words = assemble(4 * len(assemble(0)))
    return struct.pack(f"<{len(words)}I", *words)
