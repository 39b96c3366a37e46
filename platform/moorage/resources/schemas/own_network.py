"""Definitions of NodePort and PolicyRules (``network.moorage.io/v1``), in the form of the published set."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources.schemas.shapes import (
    Schema,
    array,
    flag,
    integer,
    kind,
    kind_list,
    reference,
    structure,
    text,
    texts,
)

GROUP = "network.moorage.io"
_N = "io.moorage.network.v1"
SELECTOR = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"

_PARTS: dict[str, Schema] = {
    f"{_N}.NodePortSpec": structure(
        "Which Service has the port.",
        {
            "namespace": text("The Service's namespace."),
            "service": text("The Service's name."),
            "port": integer("The port on every node."),
            "protocol": text("TCP, UDP or SCTP."),
        },
    ),
    f"{_N}.PolicyTarget": structure(
        "A pod that the policy is about.",
        {"address": text("Its address."), "node": text("The node that it runs on.")},
    ),
    f"{_N}.PolicyPort": structure(
        "Ports of one protocol.",
        {
            "protocol": text("TCP, UDP or SCTP."),
            "port": integer("The first port; every port where it is not set."),
            "endPort": integer("The last port, where it is a range."),
            "addresses": texts("Only at these destinations (a port by name differs between pods); all where not set."),
        },
    ),
    f"{_N}.PolicyBlock": structure(
        "A range of addresses.",
        {"cidr": text("The range."), "except": texts("Ranges within it that are left out.")},
    ),
    f"{_N}.PolicyRule": structure(
        "Traffic that is allowed: with one of the peers, at one of the ports.",
        {
            "anyPeer": flag("Whether every peer is allowed."),
            "addresses": texts("Addresses of the pods that the peers' selectors found."),
            "blocks": array(f"{_N}.PolicyBlock", "Ranges of addresses."),
            "anyPort": flag("Whether every port of every protocol is allowed."),
            "ports": array(f"{_N}.PolicyPort", "The ports."),
        },
    ),
    f"{_N}.PolicyRulesSpec": structure(
        "A NetworkPolicy with its selectors resolved.",
        {
            "isolatesIngress": flag("Whether the targets take only what a rule allows."),
            "isolatesEgress": flag("Whether the targets reach only what a rule allows."),
            "podSelector": reference(SELECTOR, "The policy's own, by which a node knows a target of its own at once."),
            "targets": array(f"{_N}.PolicyTarget", "The pods that the policy is about."),
            "ingress": array(f"{_N}.PolicyRule", "What may come in."),
            "egress": array(f"{_N}.PolicyRule", "What may go out."),
        },
    ),
}

NETWORK_DEFINITIONS: Mapping[str, Schema] = {
    **_PARTS,
    f"{_N}.NodePort": kind(
        GROUP,
        "NodePort",
        "A port on every node that a Service has. The platform makes and removes it with the Service.",
        {"spec": reference(f"{_N}.NodePortSpec", "Who has the port.")},
    ),
    f"{_N}.NodePortList": kind_list(GROUP, "NodePort", f"{_N}.NodePort"),
    f"{_N}.PolicyRules": kind(
        GROUP,
        "PolicyRules",
        "A NetworkPolicy as nodes enforce it. The platform makes, changes and removes it with the NetworkPolicy.",
        {"spec": reference(f"{_N}.PolicyRulesSpec", "What is allowed.")},
    ),
    f"{_N}.PolicyRulesList": kind_list(GROUP, "PolicyRules", f"{_N}.PolicyRules"),
}
