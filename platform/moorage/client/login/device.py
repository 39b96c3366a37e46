"""Logging in on a machine without a browser: a code that is typed in on another one. Source: RFC 8628."""

from __future__ import annotations

import time
from collections.abc import Callable

from moorage.client.login.http import LoginError
from moorage.client.login.provider import Provider, Refused, Tokens

DEFAULT_INTERVAL = 5.0
SLOWER = 5.0
"""Seconds that are added where the provider asks for patience (RFC 8628, 3.5)."""


def log_in(
    provider: Provider, show: Callable[[str, str], None], *, sleep: Callable[[float], None] = time.sleep
) -> Tokens:
    """Show address and code, and wait until they were used. Raises LoginError."""
    asked = provider.device_code()
    show(str(asked.get("verification_uri_complete") or asked["verification_uri"]), str(asked["user_code"]))
    interval = float(asked.get("interval") or DEFAULT_INTERVAL)
    end = time.monotonic() + float(asked.get("expires_in") or 600)
    while time.monotonic() < end:
        sleep(interval)
        try:
            return provider.poll_device(str(asked["device_code"]))
        except Refused as refusal:
            if refusal.code == "slow_down":
                interval += SLOWER
            elif refusal.code != "authorization_pending":
                raise
    raise LoginError("the code has expired; try again")
