"""Rules of probes and lifecycle hooks: exactly one handler each, and numbers that make sense."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from moorage.resources import names
from moorage.resources.checks import Errors, check_name, check_port, check_port_number
from moorage.resources.field_errors import NOT_NEGATIVE, forbidden, invalid, not_supported, required

Part = Mapping[str, Any]

_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
_SCHEMES = ("HTTP", "HTTPS")
_WINDOWS_SIGNALS = ("SIGKILL", "SIGTERM")
_LINUX_SIGNALS = tuple(
    sorted(
        (
            *(one.name for one in signal.Signals),
            *(f"SIGRTMIN+{number}" for number in range(1, 16)),
            *(f"SIGRTMAX-{number}" for number in range(1, 15)),
        )
    )
)
"""signal(7)."""


def _check_exec(errors: Errors, path: str, action: Part) -> None:
    if not action.get("command"):
        errors.append(required(f"{path}.command"))


def _check_http(errors: Errors, path: str, action: Part) -> None:
    if not action.get("path"):
        errors.append(required(f"{path}.path"))
    check_port(errors, f"{path}.port", action.get("port", 0))
    if action.get("scheme", "") not in _SCHEMES:
        errors.append(not_supported(f"{path}.scheme", action.get("scheme", ""), _SCHEMES))
    for header in action.get("httpHeaders", ()):
        check_name(errors, f"{path}.httpHeaders", header.get("name", ""), names.http_header)


def _check_handler(errors: Errors, path: str, handler: Part, kinds: tuple[str, ...], grace: int | None) -> None:
    found = False
    for kind in kinds:
        action = handler.get(kind)
        if action is None:
            continue
        here = f"{path}.{kind}"
        if found:
            errors.append(forbidden(here, "may not specify more than 1 handler type"))
            continue
        found = True
        if kind == "exec":
            _check_exec(errors, here, action)
        elif kind == "httpGet":
            _check_http(errors, here, action)
        elif kind == "tcpSocket":
            check_port(errors, f"{here}.port", action.get("port", 0))
        elif kind == "grpc":
            check_port_number(errors, f"{here}.port", action.get("port", 0))
        elif grace is not None and not 0 <= action.get("seconds", 0) <= grace:
            detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            errors.append(invalid(here, action.get("seconds", 0), detail))
    if not found:
        errors.append(required(path, "must specify a handler type"))


def _check_probe(errors: Errors, path: str, probe: Part, grace: int | None) -> None:
    _check_handler(errors, path, probe, _PROBE_HANDLERS, grace)
    for name in _PROBE_NUMBERS:
        if probe.get(name, 0) < 0:
            errors.append(invalid(f"{path}.{name}", probe[name], NOT_NEGATIVE))
    own = probe.get("terminationGracePeriodSeconds")
    if own is not None and own <= 0:
        errors.append(invalid(f"{path}.terminationGracePeriodSeconds", own, "must be greater than 0"))


def check_probes(errors: Errors, path: str, container: Part, grace: int | None) -> None:
    """Liveness, readiness and startup probe of a container; ``grace`` is the pod's grace period, None if it has none."""
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        here = f"{path}.{name}"
        _check_probe(errors, here, probe, grace)
        if name != "readinessProbe":
            if probe.get("successThreshold") != 1:
                errors.append(invalid(f"{here}.successThreshold", probe.get("successThreshold", 0), "must be 1"))
        elif "terminationGracePeriodSeconds" in probe:
            value = probe["terminationGracePeriodSeconds"]
            detail = "must not be set for readinessProbes"
            errors.append(invalid(f"{here}.terminationGracePeriodSeconds", value, detail))


def check_lifecycle(errors: Errors, path: str, lifecycle: Part, grace: int | None) -> None:
    """postStart and preStop."""
    for name in ("postStart", "preStop"):
        if name in lifecycle:
            _check_handler(errors, f"{path}.{name}", lifecycle[name], _HOOK_HANDLERS, grace)


def check_stop_signal(errors: Errors, path: str, lifecycle: Part, system: str) -> None:
    """stopSignal (KEP-4960): a signal of the pod's operating system, which must be named."""
    wanted = lifecycle.get("stopSignal")
    if wanted is None:
        return
    if not system:
        errors.append(forbidden(f"{path}.stopSignal", "may not be set for containers with empty `spec.os.name`"))
        return
    known = _WINDOWS_SIGNALS if system == "windows" else _LINUX_SIGNALS
    if wanted not in known:
        errors.append(not_supported(f"{path}.stopSignal", wanted, known))
