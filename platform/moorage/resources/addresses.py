"""IP addresses and networks in documents. Source: RFC 4291, RFC 4632, RFC 6890."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from moorage.resources.field_errors import invalid
from moorage.resources.kind import FieldError

IP_MESSAGE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_MESSAGE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """The address, or None where ``text`` is none (a zone makes it none)."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def check_ip(errors: list[FieldError], path: str, text: str) -> None:
    """``text`` must be an address."""
    if parse_ip(text) is None:
        errors.append(invalid(path, text, IP_MESSAGE))


def check_cidr(errors: list[FieldError], path: str, text: str) -> None:
    """``text`` must be a network with a prefix length."""
    try:
        if "/" not in text:
            raise ValueError(text)
        ip_network(text, strict=False)
    except ValueError:
        errors.append(invalid(path, text, CIDR_MESSAGE))


def check_not_special(errors: list[FieldError], path: str, text: str) -> None:
    """``text`` must not be an address that means something on each machine by itself."""
    address = parse_ip(text)
    if address is None:
        errors.append(invalid(path, text, "must be a valid IP address"))
        return
    if address.is_unspecified:
        errors.append(invalid(path, text, f"may not be unspecified ({text})"))
    if address.is_loopback:
        errors.append(invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        errors.append(invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
    if address.is_multicast and (text.startswith("224.0.0.") or text.lower().startswith("ff02:")):
        errors.append(invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"))
