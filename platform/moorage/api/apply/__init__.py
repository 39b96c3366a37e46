"""Who owns which field: managedFields, and server-side apply on top of them (KEP-555).

* ``record(kind, new, old, manager, subresource, now)``: after create, update and patch. Sets ``new``'s managedFields in place.
* ``apply(kind, live, config, manager, force=..., now=..., subresource="")`` -> the new object, managedFields included.
  Do not call ``record`` after it; do call ``kind.default`` and then ``keep_times``.
* ``keep_times(new, old)``: keeps an apply that changed nothing from being a write.
* ``name_from_user_agent(text)``: the default manager.

For the scale subresource, hand in the parent (before, after) and ``subresource="scale"``. Everything here is a pure function of
documents; ``now`` is RFC 3339 in UTC.
Does not live here: defaulting, validation, the reset of status or spec by an endpoint.
"""

from moorage.api.apply.applying import apply
from moorage.api.apply.managers import name_from_user_agent
from moorage.api.apply.recording import keep_times, record

__all__ = ["apply", "keep_times", "name_from_user_agent", "record"]
