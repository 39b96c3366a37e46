"""Deploys ``examples/hello`` by a real ``git push`` and waits until it answers. Can be run again at any time.

The image is made on this machine, around a statically linked BusyBox: no image registry need be in reach. What git needs to
log in is in a file that only its owner can read, never in an argument.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
import yaml

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "hello"
IMAGE, TAG = "moorage.local/hello", "1"
TEAM = REPOSITORY = "hello"
APPLETS = (
    "sh",
    "httpd",
    "cat",
    "ls",
    "sleep",
    "wget",
    "echo",
    "env",
    "hostname",
    "id",
    "nc",
    "ps",
    "true",
    "false",
    "touch",
)
PATIENCE = 120.0
MOORAGE = str(Path(sys.executable).with_name("moorage"))


class Failed(RuntimeError):
    """The sample could not be deployed; the text says why."""


class Sample:
    """The application on one installation."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir = data_dir
        self.port = port
        self.folder = data_dir / "sample"
        self.work = self.folder / "hello"
        self.kubeconfig = self.folder / "team.kubeconfig"
        admin = yaml.safe_load((data_dir / "kubeconfig").read_text())
        self.server: str = admin["clusters"][0]["cluster"]["server"]
        self.ca = data_dir / "pki" / "ca.crt"
        self.remote = f"{self.server}/git/{TEAM}/{REPOSITORY}.git"
        self._tls = ssl.create_default_context(cafile=str(self.ca))

    def run(self) -> None:
        """Image, team, push, wait, and what to try next."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        make_image()
        self._team()
        self._commit()
        self._push()
        answer = self._wait()
        print(
            f"\nhello is deployed: {self.url}\n"
            + "".join(f"  | {line}\n" for line in answer.strip().splitlines())
            + f"\nkubeconfig: {self.data_dir / 'kubeconfig'}\n\nTry next:\n"
            f"  export KUBECONFIG={self.data_dir / 'kubeconfig'}\n"
            f"  kubectl get pods,applications -n {TEAM}\n"
            f"  kubectl logs -f deployment/hello -n {TEAM}\n"
            f"  cd {self.work} && edit page.yaml && git commit -am 'Say something else' && git push"
        )

    @property
    def url(self) -> str:
        """Where the application is reached."""
        return f"http://127.0.0.1:{self.port}/"

    def _team(self) -> None:
        """A namespace and a token for the team; those of an earlier run where they still work."""
        if self.kubeconfig.exists() and self._get(f"/api/v1/namespaces/{TEAM}") is not None:
            return
        command = [MOORAGE, "teams", "create", TEAM, "--data-dir", str(self.data_dir), "--out", str(self.kubeconfig)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        # The sample listens on a port of the host: the level of tenants forbids all that an administrator does not name.
        self._patch(
            f"/apis/tenancy.moorage.io/v1/tenants/{TEAM}", {"spec": {"hostPorts": {"allowed": [str(self.port)]}}}
        )
        token = self._token()
        parts = urlsplit(self.server)
        credentials = self.folder / "credentials"
        with open(os.open(credentials, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"https://{TEAM}:{token}@{parts.netloc}\n")

    def _patch(self, path: str, change: dict[str, Any]) -> None:
        """Change an object as the administrator."""
        token = (self.data_dir / "tokens" / "admin").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
        request = urllib.request.Request(  # noqa: S310 - always https
            self.server + path, data=json.dumps(change).encode(), headers=headers, method="PATCH"
        )
        urllib.request.urlopen(request, context=self._tls, timeout=30).close()  # noqa: S310 - always https

    def _token(self) -> str:
        return str(yaml.safe_load(self.kubeconfig.read_text())["users"][0]["user"]["token"])

    def _get(self, path: str) -> dict[str, Any] | None:
        """What the team may read, or None."""
        request = urllib.request.Request(self.server + path)  # noqa: S310 - always https
        request.add_header("Authorization", f"Bearer {self._token()}")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )
        try:
            with opener.open(request, timeout=10) as answer:
                document: dict[str, Any] = json.load(answer)
                return document
        except (OSError, ValueError):
            return None

    def _commit(self) -> None:
        """A repository with the example in it; one that its user has changed is left as it is."""
        if (self.work / ".git").exists():
            return
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(EXAMPLE, self.work)
        deployment = self.work / "deployment.yaml"
        deployment.write_text(deployment.read_text().replace("hostPort: 8080", f"hostPort: {self.port}"))
        self._git("init", "--quiet", "--initial-branch=main")
        settings = {
            "user.name": "Moorage sample",
            "user.email": "sample@moorage.local",
            "http.sslCAInfo": str(self.ca),
            "http.sslCAPath": str(self._trusted()),
            "credential.helper": f"store --file={self.folder / 'credentials'}",
            "push.autoSetupRemote": "true",
        }
        for name, value in settings.items():
            self._git("config", name, value)
        self._git("remote", "add", "origin", self.remote)
        self._git("add", ".")
        self._git("commit", "--quiet", "-m", "Say hello")

    def _trusted(self) -> Path:
        """A folder with the platform's CA, which counts beside a GIT_SSL_CAINFO of the user's shell (that wins over sslCAInfo).

        GnuTLS reads all files of such a folder, OpenSSL those that are named after the certificate's subject.
        """
        folder = self.folder / "trusted"
        folder.mkdir(exist_ok=True)
        hashed = ""
        if openssl := shutil.which("openssl"):
            command = [openssl, "x509", "-in", str(self.ca), "-noout", "-subject_hash"]
            hashed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        shutil.copy(self.ca, folder / (f"{hashed}.0" if hashed else "ca.crt"))
        return folder

    def _push(self) -> None:
        self._git("remote", "set-url", "origin", self.remote)
        print(f"git push {self.remote} main", flush=True)
        self._git("push", "--set-upstream", "origin", "main", show=True)

    def _git(self, *arguments: str, show: bool = False) -> None:
        # The variable, too: where a machine sets one of its own, it wins over http.sslCAInfo.
        environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_SSL_CAINFO": str(self.ca),
        }
        environment = {key: value for key, value in environment.items() if key not in {"GIT_DIR", "GIT_WORK_TREE"}}
        result = subprocess.run(
            ["git", "-C", str(self.work), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=None if show else subprocess.PIPE,
            stderr=None if show else subprocess.STDOUT,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise Failed(f"git {arguments[0]} failed with exit code {result.returncode}\n{result.stdout or ''}".strip())

    def _wait(self) -> str:
        """Show how far it is whenever that changes; the page's text. Raises Failed."""
        end = time.monotonic() + PATIENCE
        said = ""
        while True:
            state = self._state()
            if state != said:
                print(f"  {state}", flush=True)
                said = state
            if state == "ready":
                try:
                    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                        self.url, timeout=5
                    ) as answer:
                        return str(answer.read().decode("utf-8", "replace"))
                except OSError as error:
                    state = f"{self.url} does not answer yet: {error}"
            if time.monotonic() > end:
                raise Failed(f"not ready after {PATIENCE:.0f} s: {state}\nsee: moorage logs --data-dir {self.data_dir}")
            time.sleep(0.25)

    def _state(self) -> str:
        deployment = self._get(f"/apis/apps/v1/namespaces/{TEAM}/deployments/hello")
        if deployment is None:
            return "waiting for the deployment"
        status = deployment.get("status", {})
        current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
        wanted = deployment["spec"].get("replicas", 1)
        if wanted == 0:
            raise Failed(
                f"it is scaled to nothing; bring it back with: kubectl scale deployment/hello -n {TEAM} --replicas=1"
            )
        updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
        if current and updated >= wanted and ready >= wanted and status.get("replicas", 0) == wanted:
            return "ready"
        return f"{updated} of {wanted} pods updated, {ready} ready{self._why()}"

    def _why(self) -> str:
        """What the pods themselves say."""
        pods = (self._get(f"/api/v1/namespaces/{TEAM}/pods?labelSelector=app%3Dhello") or {}).get("items", [])
        words = []
        for pod in pods:
            states = [status.get("state", {}) for status in pod.get("status", {}).get("containerStatuses") or []]
            reasons = [state["waiting"].get("reason", "") for state in states if "waiting" in state]
            words.append(" ".join([pod.get("status", {}).get("phase", "Pending"), *filter(None, reasons)]))
        return f" ({', '.join(sorted(words))})" if words else ""


def make_image() -> None:
    """Import BusyBox as an image, unless the engine has it."""
    engine = docker.from_env()
    try:
        if engine.images.list(f"{IMAGE}:{TAG}"):
            return
        busybox = shutil.which("busybox")
        if busybox is None:
            raise Failed("busybox is missing; install it with: sudo apt-get install busybox-static")
        print(f"making the image {IMAGE}:{TAG} from {busybox}", flush=True)
        engine.api.import_image_from_data(
            _root_file_system(Path(busybox)), repository=IMAGE, tag=TAG, changes=["ENV PATH=/bin", 'CMD ["sh"]']
        )
    finally:
        engine.close()


def _root_file_system(busybox: Path) -> bytes:
    """A tar of what a web server needs: one program under several names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "www", "tmp", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        program = tar.gettarinfo(str(busybox.resolve()), "bin/busybox")
        program.mode, program.uid, program.gid, program.uname, program.gname = 0o755, 0, 0, "", ""
        with busybox.open("rb") as file:
            tar.addfile(program, file)
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return buffer.getvalue()


def main() -> int:
    """Deploy; 0 where the application answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    try:
        Sample(options.data_dir.absolute(), options.port).run()
    except (Failed, subprocess.CalledProcessError, docker.errors.DockerException) as error:
        print(f"the sample application: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
