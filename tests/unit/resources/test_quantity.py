"""Quantities: what they mean, how they are printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.resources import quantity
from moorage.resources.quantity import Quantity, QuantityError

PRINTED = {
    "1000m": "1",
    "1024Mi": "1Gi",
    "0.5": "500m",
    ".5": "500m",
    "5.": "5",
    "100m": "100m",
    "1000": "1k",
    "1500": "1500",
    "1.5Gi": "1536Mi",
    "0.5Gi": "512Mi",
    "1e3": "1e3",
    "1E3": "1e3",
    "12e6": "12e6",
    "123456789E3": "123456789e3",
    "500Mi": "500Mi",
    "2048Ki": "2Mi",
    "1023": "1023",
    "1024": "1024",
    "0.1Ki": "102400m",
    "1.1Ki": "1126400m",
    "100n": "100n",
    "1.23456789012": "1234567891n",
    "-5m": "-5m",
    "+5m": "5m",
    "0Mi": "0",
    "1E": "1E",
    "128974848": "128974848",
    "9999999999999999999": "9223372036854775807",
}


@pytest.mark.parametrize(("text", "printed"), PRINTED.items())
def test_printed_as_kubernetes_prints(text: str, printed: str) -> None:
    assert quantity.canonical(text) == printed


@pytest.mark.parametrize("text", ["", "abc", "1x", "Mi", "1 Gi", "--1", "1.2.3", "+", ".", "1" * 300])
def test_no_quantity(text: str) -> None:
    with pytest.raises(QuantityError, match="quantities must match the regular expression"):
        quantity.parse(text)


@pytest.mark.parametrize("text", ["1mi", "1KK", "1iM"])
def test_unknown_suffix(text: str) -> None:
    with pytest.raises(QuantityError, match="unable to parse quantity's suffix"):
        quantity.parse(text)


def test_units() -> None:
    assert quantity.milli("250m") == 250
    assert quantity.milli("1.5") == 1500
    assert quantity.milli("1u") == 1
    assert quantity.whole("1Ki") == 1024
    assert quantity.whole("1500m") == 2
    assert quantity.canonical_resource("1u") == "1m"


def test_order() -> None:
    assert quantity.compare("1Gi", "1024Mi") == 0
    assert quantity.compare("1G", "1Gi") == -1
    assert quantity.compare("2", "1999m") == 1


def test_sums_keep_the_first_notation() -> None:
    assert str(quantity.total(["512Mi", "512Mi"])) == "1Gi"
    assert str(quantity.total(["0", "1Ki"])) == "1Ki"
    assert str(quantity.total(["250m", "750m"])) == "1"
    assert quantity.total([]) == Quantity(0)


@given(
    st.integers(0, 10**12),
    st.sampled_from(["n", "u", "m", "", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e3", "e-3", "E6"]),
)
def test_printing_is_stable_and_keeps_the_value(number: int, suffix: str) -> None:
    first = quantity.parse(f"{number}{suffix}")
    printed = str(first)
    assert str(quantity.parse(printed)) == printed
    assert quantity.parse(printed).nanos == first.nanos
