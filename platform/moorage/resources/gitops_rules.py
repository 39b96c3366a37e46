"""Rules of Repositories and Applications. Source of the rules of branches: ``git check-ref-format``."""

from __future__ import annotations

import re

from moorage.resources import names
from moorage.resources.checks import Errors, check_local_path, check_required_name
from moorage.resources.field_errors import invalid, not_supported, required, too_long
from moorage.resources.kind import Document, FieldError
from moorage.resources.metadata import metadata_errors

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)")
_BRANCH_LENGTH = 200
_PATH_LENGTH = 1024
_DESCRIPTION_LENGTH = 1024
PLAIN_SECRETS = ("refuse", "warn", "allow")
"""What becomes of a push with a Secret in the clear, the strictest first."""
BRANCH_MESSAGE = (
    "must be a valid Git branch name: no spaces, control characters, '..', '@{', '//' or any of ~^:?*[\\, "
    "no part that starts with '.' or ends with '.lock' (e.g. 'main' or 'release/1.2')"
)


def branch_name(name: str) -> str | None:
    """What is wrong with a branch's name, or None."""
    if len(name) > _BRANCH_LENGTH:
        return f"must be no more than {_BRANCH_LENGTH} bytes"
    if not name or name == "@" or name.startswith(("-", "/", ".")) or name.endswith(("/", ".")):
        return BRANCH_MESSAGE
    return BRANCH_MESSAGE if _FORBIDDEN.search(name) else None


def _check_folder(errors: Errors, path: str, folder: str) -> None:
    if len(folder) > _PATH_LENGTH:
        errors.append(too_long(path, _PATH_LENGTH))
    elif "\x00" in folder:
        errors.append(invalid(path, folder, "must not contain U+0000"))
    else:
        check_local_path(errors, path, folder)


def repository_errors(repository: Document) -> list[FieldError]:
    """What is wrong with a Repository."""
    errors = metadata_errors(repository, names.dns_label, namespaced=True)
    spec = repository.get("spec") or {}
    check_required_name(errors, "spec.deployBranch", spec.get("deployBranch", ""), branch_name)
    _check_folder(errors, "spec.path", spec.get("path", ""))
    if (policy := spec.get("plainSecrets")) is not None and policy not in PLAIN_SECRETS:
        errors.append(not_supported("spec.plainSecrets", policy, PLAIN_SECRETS))
    if len(spec.get("description", "")) > _DESCRIPTION_LENGTH:
        errors.append(too_long("spec.description", _DESCRIPTION_LENGTH))
    return errors


def application_errors(application: Document) -> list[FieldError]:
    """What is wrong with an Application."""
    errors = metadata_errors(application, names.dns_label, namespaced=True)
    spec = application.get("spec") or {}
    repository = spec.get("repository", "")
    if not repository:
        errors.append(required("spec.repository", "name the Repository in this namespace that is deployed"))
    elif problem := names.dns_label(repository):
        errors.append(invalid("spec.repository", repository, problem))
    branch = spec.get("branch", "")
    if branch and (problem := branch_name(branch)):
        errors.append(invalid("spec.branch", branch, problem))
    _check_folder(errors, "spec.path", spec.get("path", ""))
    return errors
