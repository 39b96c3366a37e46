"""Which Secrets a pod may refer to, where its account limits that, and what the mirror of a static pod may not refer to at all.

Source: ``plugin/pkg/admission/serviceaccount``: ``limitSecretReferences`` and the rules for mirror pods, in their words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moorage.resources.kind import Document

ENFORCE = "kubernetes.io/enforce-mountable-secrets"
"""Annotation of an account: pods refer to the Secrets that it lists, and to no others."""


def enforced(account: Document) -> bool:
    """Whether ``account`` limits its pods to its own Secrets."""
    said = (account["metadata"].get("annotations") or {}).get(ENFORCE, "")
    return said.lower() in ("1", "t", "true")


def refusal(spec: Document, account: Document) -> str:
    """Why a pod may not run as ``account``, which limits it; "" where it may."""
    name = account["metadata"]["name"]
    own = {each.get("name") for each in account.get("secrets") or ()}
    for where, secret in _references(spec):
        if secret not in own:
            why = f"is not allowed because service account {name} does not reference that secret"
            return f'{where} secret.secretName="{secret}" {why}'
    pulls = {each.get("name") for each in account.get("imagePullSecrets") or ()}
    for number, each in enumerate(spec.get("imagePullSecrets") or ()):
        if each.get("name") not in pulls:
            why = f"is not allowed because service account {name} does not reference that imagePullSecret"
            return f'imagePullSecrets[{number}].name="{each.get("name")}" {why}'
    return ""


def mirror_refusal(spec: Document) -> str:
    """Why this cannot be the mirror of a static pod, which no credential of the cluster may reach; "" where it can."""
    if spec.get("serviceAccountName"):
        return "a mirror pod may not reference service accounts"
    if spec.get("imagePullSecrets") or next(_references(spec), None) is not None:
        return "a mirror pod may not reference secrets"
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("serviceAccountToken"):
                return "a mirror pod may not use ServiceAccountToken volume projections"
            if source.get("secret"):
                return "a mirror pod may not reference secrets"
    return ""


def _references(spec: Document) -> Iterator[tuple[str, str]]:
    """(where, name) of the Secrets in volumes and environments."""
    for volume in spec.get("volumes") or ():
        if volume.get("secret"):
            yield "volume with", volume["secret"].get("secretName", "")
    for field, what in (("initContainers", "init container"), ("containers", "container")):
        for container in spec.get(field) or ():
            yield from _of_a_container(container, f"{what} {container.get('name', '')}")


def _of_a_container(container: dict[str, Any], who: str) -> Iterator[tuple[str, str]]:
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if reference:
            yield f"{who} with envVar {variable.get('name', '')} referencing", reference.get("name", "")
    for source in container.get("envFrom") or ():
        if source.get("secretRef"):
            yield f"{who} with envFrom referencing", source["secretRef"].get("name", "")
