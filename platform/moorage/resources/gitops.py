"""gitops.moorage.io/v1: Repositories that the platform hosts, and the Applications that are deployed from them."""

from __future__ import annotations

from moorage.resources import names
from moorage.resources.declaring import by_name, status_of
from moorage.resources.gitops_rules import application_errors, repository_errors
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.metadata import metadata_update_errors
from moorage.resources.printing import AGE, NAME, at, text

GROUP = "gitops.moorage.io"
DEFAULT_BRANCH = "main"
_SHORT = 10


def _default_repository(repository: Document) -> None:
    spec = repository.setdefault("spec", {})
    if not spec.get("deployBranch"):
        spec["deployBranch"] = DEFAULT_BRANCH


def _default_application(application: Document) -> None:
    application.setdefault("spec", {}).setdefault("prune", True)


def _revision(document: Document, _now: float) -> str:
    return str(at(document, "status.revision"))[:_SHORT]


REPOSITORY = Kind(
    group=GROUP,
    version="v1",
    kind="Repository",
    plural="repositories",
    singular="repository",
    namespaced=True,
    schema="io.moorage.gitops.v1.Repository",
    short_names=("repo",),
    categories=("all",),
    storage=ResourceKey(GROUP, "repositories"),
    has_generation=True,
    name_rule=names.dns_label,
    subresources=by_name((status_of(GROUP, "v1", "Repository"),)),
    columns=(
        NAME,
        Column("URL", text("status.url"), description="Where to push to."),
        Column("Branch", text("spec.deployBranch"), description="The branch that is deployed."),
        Column("Revision", _revision, description="Its commit."),
        AGE,
    ),
    default=_default_repository,
    validate=repository_errors,
    validate_update=metadata_update_errors,
    validate_status_update=metadata_update_errors,
)

APPLICATION = Kind(
    group=GROUP,
    version="v1",
    kind="Application",
    plural="applications",
    singular="application",
    namespaced=True,
    schema="io.moorage.gitops.v1.Application",
    short_names=("app", "apps"),
    categories=("all",),
    storage=ResourceKey(GROUP, "applications"),
    has_generation=True,
    name_rule=names.dns_label,
    subresources=by_name((status_of(GROUP, "v1", "Application"),)),
    columns=(
        NAME,
        Column("Sync", text("status.sync.status", "Unknown"), description="Whether it is as the commit says."),
        Column("Health", text("status.health.status", "Unknown"), description="Whether it works."),
        Column("Revision", _revision, description="Its commit."),
        Column("Repository", text("spec.repository"), description="Where it comes from."),
        AGE,
        Column("Message", text("status.health.message"), priority=1, description="Why it is so."),
    ),
    default=_default_application,
    validate=application_errors,
    validate_update=metadata_update_errors,
    validate_status_update=metadata_update_errors,
)
