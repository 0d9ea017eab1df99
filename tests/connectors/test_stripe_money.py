"""Amounts between a currency's smallest unit and the decimals people read."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from clew.connectors.stripe.money import (
    THREE_DECIMALS,
    WHOLE_IN_CENTS,
    ZERO_DECIMALS,
    MaybeMoney,
    Money,
    decimal_text,
    units_in,
    units_of,
)
from clew.core.errors import ContractChangedError, InvalidInputError
from clew.core.mapping import read


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("12.50", "usd", 1250),
        ("12.5", "EUR", 1250),
        ("12", "usd", 1200),
        ("0.01", "usd", 1),
        ("500", "jpy", 500),
        ("5.120", "kwd", 5120),
        ("5", "ugx", 500),
        ("5", "isk", 500),
        ("10.45", "huf", 1045),
        ("999999999999", "usd", 99999999999900),
    ],
)
def test_an_amount_is_sent_in_the_smallest_unit(amount: str, currency: str, units: int) -> None:
    assert units_of(amount, currency) == units


@pytest.mark.parametrize(
    ("amount", "currency", "why"),
    [
        ("12.505", "usd", "usd has 2 decimals"),
        ("500.5", "jpy", "jpy has no decimals"),
        ("5.124", "kwd", "steps of 0.010"),
        ("5.50", "isk", "isk has no decimals"),
        ("5.5", "ugx", "ugx has no decimals"),
        ("0", "usd", "more than 0"),
        ("0.00", "usd", "more than 0"),
    ],
)
def test_what_cannot_be_paid_exactly_is_refused_and_never_rounded(amount: str, currency: str, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why) as caught:
        units_of(amount, currency, name="price")
    assert list(caught.value.fields) == ["price"]


def test_no_currency_is_of_two_kinds() -> None:
    assert not ZERO_DECIMALS & THREE_DECIMALS
    assert not WHOLE_IN_CENTS & (ZERO_DECIMALS | THREE_DECIMALS)


@given(units=st.integers(1, 10**14), currency=st.sampled_from(["usd", "jpy", "kwd", "isk", "xof"]))
def test_text_and_units_say_the_same(units: int, currency: str) -> None:
    text = decimal_text(units, currency)
    assert units_in(text, currency) == units
    assert "e" not in text.lower()
    assert Decimal(text) >= 0


@pytest.mark.parametrize(
    ("units", "currency", "text"),
    [(1250, "usd", "12.50"), (5, "usd", "0.05"), (-120, "usd", "-1.20"), (0, "jpy", "0"), (5120, "kwd", "5.120")],
)
def test_units_are_shown_as_decimal_text(units: int, currency: str, text: str) -> None:
    assert decimal_text(units, currency) == text


class Priced(BaseModel):
    currency: str | None = None
    amount: Money
    left: MaybeMoney = None


def test_a_model_reads_units_with_the_currency_before_them() -> None:
    assert read(Priced, {"amount": 1250, "left": None, "currency": "usd"}) == Priced.model_construct(
        currency="usd", amount="12.50", left=None
    )


@pytest.mark.parametrize(
    "payload",
    [
        {"amount": "1250", "currency": "usd"},
        {"amount": 12.5, "currency": "usd"},
        {"amount": True, "currency": "usd"},
        {"amount": None, "currency": "usd"},
        {"amount": 1250},
        {"currency": "usd"},
    ],
)
def test_what_is_no_amount_is_a_changed_contract(payload: Any) -> None:
    with pytest.raises(ContractChangedError, match="amount"):
        read(Priced, payload)
