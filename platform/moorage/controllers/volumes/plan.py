"""What is to become of a claim, and of a volume. Pure. Source: Kubernetes' ``pv_controller.go``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from moorage.client.objects import Document, is_deleting, uid_of
from moorage.controllers.volumes.matching import best, claim_of, is_meant_for, why_not
from moorage.resources.core.access_modes import has_class, storage_class_of

COMPLETED, BY_CONTROLLER = "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
DELAYED = "WaitForFirstConsumer"


class Bind(NamedTuple):
    """The claim gets the volume, or what says so is to be completed."""

    volume: Document


class Wait(NamedTuple):
    """The claim stays Pending; ``kind`` (of an event) "" says nothing about it."""

    kind: str = ""
    reason: str = ""
    message: str = ""


class Provision(NamedTuple):
    """The class's provisioner is to make a volume."""


class Assign(NamedTuple):
    """The claim gets the default class, which it could not have when it was made."""

    name: str


class Lose(NamedTuple):
    """The claim was bound and its volume is gone."""

    reason: str
    message: str


ClaimPlan = Bind | Wait | Provision | Assign | Lose


class Turn(NamedTuple):
    """The volume enters a phase, with a message of why."""

    phase: str
    message: str = ""


class Unbind(NamedTuple):
    """The volume is given up: it is nobody's (``whole``), or waits again for a claim of this name."""

    whole: bool


class Reclaim(NamedTuple):
    """The volume's claim is gone."""


class Leave(NamedTuple):
    """Nothing to do; the claim has to be looked at."""


VolumePlan = Turn | Unbind | Reclaim | Leave


def is_completed(claim: Document) -> bool:
    """Whether the claim was bound before."""
    return COMPLETED in (claim["metadata"].get("annotations") or {})


def is_delayed(storage_class: Document | None) -> bool:
    """Whether claims of the class wait for a pod."""
    return (storage_class or {}).get("volumeBindingMode") == DELAYED


def of_claim(
    claim: Document,
    named: Document | None,
    free: Iterable[Document],
    storage_class: Document | None,
    node: Document | None,
    default: str = "",
) -> ClaimPlan:
    """``named``: the volume that the claim names, ``free``: those that it may get, ``node``: where its first pod goes,
    ``default``: the class of claims that name none.
    """
    if is_completed(claim):
        return _of_bound(claim, named)
    if is_deleting(claim):
        return Wait()
    if claim["spec"].get("volumeName"):
        return _of_named(claim, named)
    delayed = is_delayed(storage_class)
    volume = best(claim, free, node=node, delayed=delayed)
    if volume is not None:
        return Bind(volume)
    if default and not has_class(claim):
        return Assign(default)
    if delayed and node is None:
        return Wait("Normal", DELAYED, "waiting for first consumer to be created before binding")
    if storage_class_of(claim):
        return Provision()
    message = "no persistent volumes available for this claim and no storage class is set"
    return Wait("Normal", "FailedBinding", message)


def _of_bound(claim: Document, named: Document | None) -> ClaimPlan:
    lost = "Data on the volume is lost!"
    if not claim["spec"].get("volumeName"):
        return Lose("ClaimLost", f"Bound claim has lost reference to PersistentVolume. {lost}")
    if named is None:
        return Lose("ClaimLost", f"Bound claim has lost its PersistentVolume. {lost}")
    if not claim_of(named) or is_meant_for(named, claim):
        return Bind(named)
    return Lose("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")


def _of_named(claim: Document, named: Document | None) -> ClaimPlan:
    name = claim["spec"]["volumeName"]
    if named is None:
        return Wait("Warning", "FailedBinding", f'volume "{name}" not found')
    if claim_of(named) and not is_meant_for(named, claim):
        return Wait("Warning", "FailedBinding", f'volume "{name}" already bound to a different claim.')
    if problem := why_not(claim, named):
        return Wait("Warning", "VolumeMismatch", f'Cannot bind to requested volume "{name}": {problem}')
    return Bind(named)


def of_volume(volume: Document, claim: Document | None) -> VolumePlan:
    """``claim``: what the volume's ``claimRef`` names, None where there is none (ask the API before believing it)."""
    wanted = claim_of(volume)
    if not wanted or not wanted.get("uid"):
        return Turn("Available")
    if claim is None or uid_of(claim) != wanted["uid"]:
        phase = (volume.get("status") or {}).get("phase")
        return Reclaim() if phase in ("Released", "Failed") else Turn("Released")
    name = claim["spec"].get("volumeName")
    if name == volume["metadata"]["name"]:
        return Turn("Bound")
    if not name:
        return Leave()
    annotations = volume["metadata"].get("annotations") or {}
    if PROVISIONED_BY in annotations and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        phase = (volume.get("status") or {}).get("phase")
        return Reclaim() if phase in ("Released", "Failed") else Turn("Released")
    return Unbind(whole=BY_CONTROLLER in annotations)
