"""Small pure parts: back-off, quantities, names of images, references, labels, status differences."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage_agent.engine.contract import EngineError, Limits
from moorage_agent.images import credentials, puller, reference
from moorage_agent.node import document
from moorage_agent.node.machine import Pressure
from moorage_agent.objects import Snapshot
from moorage_agent.pods import backoff, confinement, env_files, environment, fields, labels, naming, quantities, spec
from moorage_agent.pods.status_writer import difference
from moorage_agent.probes.checks import port_number
from moorage_agent.probes.grpc_health import request
from tests.unit.agent.documents import Document, container, pod


def test_back_off_doubles_to_five_minutes() -> None:
    delays, current = [], 0.0
    for _ in range(8):
        current = backoff.following(current, 1.0)
        delays.append(current)
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    assert backoff.after(300, 601) == 0
    assert backoff.text(80) == "1m20s"
    assert backoff.text(300) == "5m0s"
    assert [puller.pull_delay(tries) for tries in (1, 2, 6, 60)] == [10, 20, 300, 300]


@given(st.floats(0, 300), st.floats(0, 10_000))
def test_a_delay_is_always_within_its_bounds(delay: float, ran: float) -> None:
    assert backoff.FIRST <= backoff.following(delay or 0.0, ran) <= backoff.LONGEST or delay < backoff.FIRST / 2


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100m", 0.1),
        ("2", 2),
        ("1.5", 1.5),
        ("64Mi", 64 * 2**20),
        ("1G", 10**9),
        ("1e3", 1000),
        ("5E", 5e18),
        ("3u", 3e-6),
    ],
)
def test_quantities(text: str, number: float) -> None:
    assert quantities.amount(text) == pytest.approx(number)


def test_a_quantity_that_is_none() -> None:
    with pytest.raises(ValueError, match="abc"):
        quantities.amount("abc")


def test_limits_are_the_kubelets() -> None:
    resources = {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    assert quantities.limits(resources, 100) == Limits(256, 100_000, 2**30, 100)
    assert quantities.limits({"limits": {"cpu": "1m"}}, 0) == Limits(2, 1000, 0, 0)
    assert quantities.limits(None, 0) == Limits(2)


def test_oom_scores_order_pods_by_quality() -> None:
    def score(quality: str, request: str = "0", least: int = 0) -> int:
        whole = {**pod(), "status": {"qosClass": quality}}
        return quantities.oom_score(whole, container(resources={"requests": {"memory": request}}), 2**30, least)

    assert (score("Guaranteed"), score("Guaranteed", least=-1000)) == (0, -997)
    assert score("Guaranteed") < score("Burstable", "512Mi") < score("Burstable", "1Mi") < score("BestEffort") == 1000


@pytest.mark.parametrize(
    ("text", "whole", "domain"),
    [
        ("busybox", "busybox:latest", "docker.io"),
        ("team/app:1", "team/app:1", "docker.io"),
        ("HOST/app", "HOST/app:latest", "HOST"),
        ("localhost/app", "localhost/app:latest", "localhost"),
        ("reg.example:5000/a/b@sha256:" + "a" * 64, "reg.example:5000/a/b@sha256:" + "a" * 64, "reg.example:5000"),
    ],
)
def test_image_names(text: str, whole: str, domain: str) -> None:
    assert reference.parse(text) == reference.Reference(whole, domain)


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "x:", "x@y", "-x", "a" * 300, "x;rm"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid reference format|lowercase|255"):
        reference.parse(text)


def test_pull_credentials_are_chosen_by_registry() -> None:
    auths = {
        "https://index.docker.io/v1/": {"auth": base64.b64encode(b"hub:one").decode()},
        "reg.example:5000": {"username": "me", "password": "two"},
        "broken": {"auth": "*"},
    }
    secret = {"data": {".dockerconfigjson": base64.b64encode(orjson.dumps({"auths": auths})).decode()}}
    assert credentials.choose("docker.io", [secret]) == [("hub", "one")]
    assert credentials.choose("reg.example:5000", [secret]) == [("me", "two")]
    assert credentials.choose("other", [secret]) == []
    assert credentials.from_secret({"metadata": {}, "data": {".dockerconfigjson": "!"}}) == {}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("$(A", "$(A"),
        ("a$(A)b$(A)", "a1b1"),
        ("$A", "$A"),
        ("$$", "$"),
        ("$$$(A)", "$1"),
    ],
)
def test_references_are_replaced_as_kubernetes_does(text: str, expanded: str) -> None:
    assert environment.expand(text, {"A": "1"}) == expanded


def test_a_value_that_no_variable_can_hold_is_refused_without_showing_it() -> None:
    secret = {"kind": "Secret", "data": {"k": base64.b64encode(b"\xff canary").decode()}}
    asks = container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}])
    with pytest.raises(environment.ConfigError) as refused:
        environment.environment(pod(), asks, Snapshot({("secret", "s"): secret}), fields.Facts())
    assert "canary" not in str(refused.value)
    assert "shop/s: key k is not UTF-8 text" in str(refused.value)


def test_fields_and_resources() -> None:
    whole = pod(container(resources={"limits": {"memory": "64Mi"}}))
    whole["metadata"]["labels"] = {"b": '2"', "a": "1"}
    facts = fields.Facts("n", "192.0.2.1", "10.0.0.1", cpu=4, memory=2**30)
    assert fields.field(whole, "metadata.labels", facts) == 'a="1"\nb="2\\""'
    assert fields.field(whole, "metadata.labels['a']", facts) == "1"
    assert fields.field(whole, "metadata.annotations['none']", facts) == ""
    assert fields.field(whole, "spec.nodeName", facts) == "n"
    with pytest.raises(ValueError, match=r"spec\.secret"):
        fields.field(whole, "spec.secret", facts)
    ask = {"containerName": "c", "resource": "limits.memory", "divisor": "1Mi"}
    assert fields.resource(whole, ask, None, facts) == "64"
    assert fields.resource(whole, {**ask, "resource": "limits.cpu", "divisor": "1m"}, None, facts) == "4000"
    assert fields.resource(whole, {**ask, "resource": "requests.cpu"}, None, facts) == "0"


def test_only_the_image_is_in_the_hash() -> None:
    assert labels.spec_hash(container()) == labels.spec_hash(container(env=[{"name": "new"}]))
    assert labels.spec_hash(container()) != labels.spec_hash(container(image="app:2"))


def test_command_without_args_drops_the_images_own() -> None:
    def made(**given: Any) -> Any:
        whole = pod(container(**given))
        identity = spec.Identity(labels.Owner("c", "n"), "u")
        return spec.container_spec(
            whole,
            whole["spec"]["containers"][0],
            identity,
            attempt=0,
            sandbox="s",
            backoff=0,
            variables={},
            mounts=(),
            image="app:1",
            image_user="",
            node_memory=0,
            most_processes=0,
        )

    assert (made().entrypoint, made().arguments) == (None, None)
    assert (made(command=["x"]).entrypoint, made(command=["x"]).arguments) == (["x"], [])
    assert (made(args=["y"]).entrypoint, made(args=["y"]).arguments) == (None, ["y"])


def test_run_as_non_root() -> None:
    def check(user: str, **context: Any) -> str:
        return spec.security(pod(securityContext={"runAsNonRoot": True}), container(securityContext=context), user).user

    assert check("", runAsUser=5) == "5"
    assert check("100") == ""
    where = r'\(pod: "web_shop\(uid-web\)", container: c\)'
    told = {
        ("", None): f"container has runAsNonRoot and image will run as root {where}",
        ("0:0", None): f"container has runAsNonRoot and image will run as root {where}",
        ("app", None): rf"container has runAsNonRoot and image has non-numeric user \(app\), cannot verify .* {where}",
        ("100", 0): f"container's runAsUser breaks non-root policy {where}",
    }
    for (user, wanted), text in told.items():
        with pytest.raises(environment.ConfigError, match=f"^{text}$"):
            check(user, **({} if wanted is None else {"runAsUser": wanted}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A='one'", "one"),
        ("# a comment\n\n  A='one' # and more\nA='two'\n", "one"),
        ("B='x'\nA='it\nspans  lines # all of it'\n", "it\nspans  lines # all of it"),
        ("A= 'one'\nB='x'", ""),
        ("B='A=1'\n", ""),
        ("", ""),
    ],
)
def test_files_of_variables(text: str, value: str) -> None:
    assert env_files.parsed(text).value_of("A") == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\nA=one", "line 2: value must be enclosed in single quotes"),
        ("A ='one'", "line 1: whitespace before '=' is not allowed"),
        ("treasure", "line 1: missing '='"),
        ("='x'", "line 1: empty variable name"),
        ("B='x'\nA='treasure", "line 2: unclosed single quote"),
        ("A='x'treasure", "line 1: unexpected content after closing quote"),
    ],
)
def test_files_that_are_none_of_variables(text: str, problem: str) -> None:
    with pytest.raises(env_files.FileError) as caught:
        env_files.parsed(text).value_of("A")
    assert problem in str(caught.value)
    assert "treasure" not in str(caught.value)


def test_variables_from_files() -> None:
    def value(optional: bool = False, **files: str | None) -> dict[str, str]:
        reference = {"volumeName": "v", "path": "e", "key": "A", "optional": optional}
        asks = container(env=[{"name": "X", "valueFrom": {"fileKeyRef": reference}}])
        snapshot = Snapshot(
            files={("v", name): env_files.parsed(text) for name, text in files.items() if text is not None}
        )
        return environment.environment(pod(), asks, snapshot, fields.Facts())

    assert value(e="A='one'") == {"X": "one"}
    assert value(optional=True) == value(optional=True, e="B='x'") == {}
    with pytest.raises(environment.ConfigError, match='file "e" not found in volume "v"'):
        value()
    with pytest.raises(environment.ConfigError, match='environment variable key "A" not found in file "e"'):
        value(e="B='x'")


def test_what_no_program_can_be_started_with() -> None:
    assert environment.excess(["x"], {"A": "x" * 131_000}) == ""
    assert "environment variable A is longer than the 131072 bytes" in environment.excess([], {"A": "x" * 131_072})
    assert "a word of the command is longer" in environment.excess(["sh", "é" * 65_536], {})
    many = {f"A{number}": "x" * 130_000 for number in range(17)}
    assert "command and environment are larger than the 2097152 bytes" in environment.excess([], many)


def test_a_resolver_takes_so_much_and_the_rest_is_told() -> None:
    few = naming.Configuration(["10.0.0.1"], ["a.b"], ["ndots:5"])
    assert naming.fitted(few) == (few, [])
    many = naming.Configuration([f"10.0.0.{number}" for number in range(5)], [f"d{number}" for number in range(40)])
    found, told = naming.fitted(many)
    assert (len(found.servers), len(found.searches)) == (3, 32)
    assert told[0] == (
        "Nameserver limits were exceeded, some nameservers have been omitted, "
        "the applied nameserver line is: 10.0.0.0 10.0.0.1 10.0.0.2"
    )
    assert told[1].startswith(
        "Search Line limits were exceeded, some search paths have been omitted, the applied search"
    )


def test_binary_data_makes_no_variables() -> None:
    data = {"data": {"a": "1"}, "binaryData": {"b": base64.b64encode(b"2").decode()}}
    found = Snapshot({("configmap", "m"): {"kind": "ConfigMap", **data}})
    whole = container(envFrom=[{"configMapRef": {"name": "m"}}])
    assert environment.environment(pod(), whole, found, fields.Facts()) == {"a": "1"}
    one = container(env=[{"name": "B", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "b"}}}])
    with pytest.raises(environment.ConfigError, match="couldn't find key b in ConfigMap shop/m"):
        environment.environment(pod(), one, found, fields.Facts())


def test_what_confines_a_container() -> None:
    def options(own: Document, whole: Document | None = None) -> list[str]:
        made = pod(container(securityContext=own), securityContext=whole or {})
        return confinement.options(made, made["spec"]["containers"][0], lambda name: f"<{name}>")

    assert options({}) == []
    assert options({"allowPrivilegeEscalation": False}) == ["no-new-privileges"]
    unconfined = {"seccompProfile": {"type": "Unconfined"}}
    assert options({}, unconfined) == ["seccomp=unconfined"]
    assert options({"seccompProfile": {"type": "RuntimeDefault"}}, unconfined) == []
    assert options({"seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}}) == ["seccomp=<a/b.json>"]
    assert options({"appArmorProfile": {"type": "Localhost", "localhostProfile": "own"}}) == ["apparmor=own"]
    with pytest.raises(EngineError, match='AppArmor profile "unconfined"'):
        options({"appArmorProfile": {"type": "Localhost", "localhostProfile": "unconfined"}})
    assert options({"seLinuxOptions": {"level": "s0:c1", "type": "t"}}) == ["label=type:t", "label=level:s0:c1"]
    assert options({"procMount": "Unmasked"}) == ["systempaths=unconfined"]


def test_a_seccomp_profile_is_a_file_of_its_folder(tmp_path: Path) -> None:
    profiles = confinement.Profiles(tmp_path)
    (tmp_path / "seccomp").mkdir()
    (tmp_path / "seccomp" / "own.json").write_text("{}")
    (tmp_path / "secret").write_text("treasure")
    (tmp_path / "seccomp" / "link").symlink_to("../secret")
    assert profiles.read("own.json") == "{}"
    with pytest.raises(EngineError, match=r'cannot load seccomp profile ".*none.json": no such file or directory'):
        profiles.read("none.json")
    for outside in ("../secret", "link"):
        with pytest.raises(EngineError, match="it is not in"):
            profiles.read(outside)


def test_a_score_below_0_needs_a_right(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapEff:\t0000000001000000\n")
    assert confinement.least_oom_score(status) == -1000
    status.write_text("Name:\tx\nCapEff:\t00000000feffffff\n")
    assert confinement.least_oom_score(status) == 0


def test_what_a_pod_bounds_as_a_whole_bounds_its_containers() -> None:
    bounded = container("d", resources={"limits": {"memory": "1Gi"}})
    whole = pod(container(), bounded, resources={"limits": {"memory": "2Gi", "cpu": "1"}, "requests": {"cpu": "500m"}})
    assert quantities.limits(quantities.resources(whole, whole["spec"]["containers"][0]), 0) == Limits(
        256, 100_000, 2**31
    )
    assert quantities.limits(quantities.resources(whole, bounded), 0) == Limits(256, 100_000, 2**30)
    assert quantities.resources(pod(), bounded) == bounded["resources"]


def test_status_patches_hold_what_changed_and_delete_what_went() -> None:
    old = {
        "phase": "Pending",
        "podIP": "10.0.0.1",
        "podIPs": [{"ip": "10.0.0.1"}],
        "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}],
        "qosClass": "BestEffort",
    }
    new = {
        "phase": "Pending",
        "podIP": "10.0.0.2",
        "podIPs": [{"ip": "10.0.0.2"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    assert difference(old, new) == {
        "podIP": "10.0.0.2",
        "podIPs": [{"ip": "10.0.0.2"}, {"$patch": "delete", "ip": "10.0.0.1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    assert difference(new, new) == {}
    waited = {"conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]}
    ready = {"type": "Ready", "status": "True"}
    assert difference(waited, {"conditions": [ready]}) == {"conditions": [{**ready, "reason": None}]}
    assert difference(old, {"phase": "Running"}) == {"phase": "Running", "podIP": None, "podIPs": None}


def test_named_ports() -> None:
    web = container(ports=[{"name": "web", "containerPort": 8080}])
    assert port_number("web", web) == 8080
    assert port_number("80", web) == port_number(80, web) == 80
    with pytest.raises(ValueError, match="none"):
        port_number("none", web)


def test_node_conditions_keep_their_time_and_say_why() -> None:
    fine = document.conditions({}, document.Engine(True), Pressure(), 100.0)
    assert [(one["type"], one["status"]) for one in fine] == [
        ("MemoryPressure", "False"),
        ("DiskPressure", "False"),
        ("PIDPressure", "False"),
        ("NetworkUnavailable", "False"),
        ("Ready", "True"),
    ]
    down = document.conditions({"conditions": fine}, document.Engine(False, "no answer"), Pressure(disk=True), 200.0)
    by_type = {one["type"]: one for one in down}
    assert by_type["Ready"]["message"] == "container runtime is down: no answer"
    assert by_type["DiskPressure"]["reason"] == "KubeletHasDiskPressure"
    assert by_type["Ready"]["lastTransitionTime"] == "1970-01-01T00:03:20Z"
    assert by_type["MemoryPressure"]["lastTransitionTime"] == "1970-01-01T00:01:40Z"
    assert not document.differs(
        {"conditions": fine},
        {"conditions": document.conditions({"conditions": fine}, document.Engine(True), Pressure(), 900.0)},
    )


def test_a_node_says_what_its_network_lacks() -> None:
    def told(network: document.Network) -> dict[str, tuple[str, str]]:
        found = document.conditions({}, document.Engine(True), Pressure(), 100.0, network)
        return {one["type"]: (one["status"], one["message"]) for one in found}

    waiting = told(document.Network(False))
    assert waiting["NetworkUnavailable"][0] == "True"
    assert waiting["Ready"] == ("False", f"container runtime network not ready: {document.NO_RANGE}")
    lesser = told(document.Network(True, "no nftables here"))
    assert lesser["NetworkUnavailable"] == ("False", "no nftables here")
    assert lesser["Ready"][0] == "True"


def test_a_grpc_health_request_is_http2() -> None:
    sent = request("10.0.0.1:50051", "shop")
    assert sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04")
    assert sent.endswith(b"\x00\x00\x00\x00\x06\x0a\x04shop")
