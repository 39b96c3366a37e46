"""The agent's settings in the kubelet's terms (``/configz``: ``KubeletConfiguration`` of kubelet.config.k8s.io/v1beta1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage_agent.engine.docker_wire import LOG_FILES
from moorage_agent.node import machine
from moorage_agent.options import AgentOptions


def told(options: AgentOptions) -> Mapping[str, Any]:
    """What holds on this node. No secrets: tokens and their files are not in it."""
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "staticPodPath": str(options.static_pods or ""),
        "nodeStatusUpdateFrequency": f"{options.health_interval:g}s",
        "nodeStatusReportFrequency": f"{options.status_interval:g}s",
        "nodeLeaseDurationSeconds": options.lease_duration,
        "maxPods": int(options.capacity.get("pods", "110")),
        "podPidsLimit": options.most_processes,
        "containerLogMaxSize": LOG_FILES["max-size"].replace("m", "Mi"),
        "containerLogMaxFiles": int(LOG_FILES["max-file"]),
        "imageGCHighThresholdPercent": round(machine.IMAGES_MOST * 100),
        "failSwapOn": False,
        "enableServer": False,
    }
