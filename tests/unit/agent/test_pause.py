"""The sandbox's program: a real ELF file that does its three duties."""

from __future__ import annotations

import asyncio
import platform
import signal
import struct
from pathlib import Path

import pytest

from moorage_agent.engine import pause
from tests.support.wait import until


def test_the_file_is_a_small_static_elf_of_each_machine() -> None:
    for machine, number in (("x86_64", 62), ("aarch64", 183)):
        program = pause.binary(machine)
        assert program[:6] == b"\x7fELF\x02\x01"
        kind, found, _, entry, headers = struct.unpack_from("<HHIQQ", program, 16)
        assert (kind, found, headers) == (2, number, 64)
        assert entry == pause.BASE + 64 + 56
        assert len(program) < 300
    assert pause.archive("x86_64") == pause.archive("amd64")
    assert pause.reference("x86_64") != pause.reference("aarch64")


def test_aarch64_code_is_what_an_assembler_makes() -> None:
    """Each word is spelled out as the Arm Architecture Reference Manual encodes it, so that a change shows."""
    code = pause.binary("aarch64")[pause.HEADERS : -len(pause.DATA)]
    words = struct.unpack(f"<{len(code) // 4}I", code)
    svc = 0xD4000001
    assert words[:3] == (0xD2800C28, 0xD2A80000, svc)  # mov x8, #97 (unshare); movz x0, #0x4000, lsl 16; svc #0
    assert words[3] == 0xD2800B68  # mov x8, #91 (capset)
    assert words[6] == svc
    words = words[7:]
    assert words[0] == 0xD28010C8  # mov x8, #134 (rt_sigaction)
    assert words[1] == 0xD2800220  # mov x0, #17 (SIGCHLD)
    assert words[3:6] == (0xD2800002, 0xD2800103, svc)  # mov x2, #0; mov x3, #8; svc #0
    assert words[6:8] == (0xD28010E8, 0xD2800000)  # mov x8, #135 (rt_sigprocmask); mov x0, #0
    assert words[10] == 0xD2801128  # mov x8, #137 (rt_sigtimedwait)
    assert words[14] == 0xB7FFFF80  # tbnz x0, #63, -16
    assert words[15:] == (0xD2800BC8, 0xD2800000, svc)  # mov x8, #94 (exit_group); mov x0, #0; svc #0


def test_a_machine_without_code_is_named() -> None:
    with pytest.raises(ValueError, match="riscv64"):
        pause.binary("riscv64")


def _rights(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("CapPrm:")).split()[1], 16)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no code for this machine")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
async def test_it_waits_and_ends_when_told(tmp_path: Path, ending: signal.Signals) -> None:
    program = tmp_path / "pause"
    program.write_bytes(pause.binary())
    program.chmod(0o755)
    process = await asyncio.create_subprocess_exec(program)
    waiting = {"x86_64": "128 ", "aarch64": "137 "}[platform.machine()]  # rt_sigtimedwait

    try:
        await until(lambda: Path(f"/proc/{process.pid}/syscall").read_text().startswith(waiting))
        assert _rights(process.pid) == 0
        process.send_signal(signal.SIGCHLD)
        process.send_signal(ending)
        await until(lambda: process.returncode is not None, timeout=5)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    assert process.returncode == 0
