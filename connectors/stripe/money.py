"""Amounts: Stripe counts in a currency's smallest unit, people and models read decimals. Never a float.

Source: https://docs.stripe.com/currencies (minor units, zero-decimal, three-decimal and special cases).
"""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo

from clew import errors

ZERO_DECIMALS = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)
THREE_DECIMALS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
WHOLE_IN_CENTS = frozenset({"isk", "ugx"})
"""They lost their decimals, and Stripe still wants two: 5 ISK are 500, and nothing but whole ones."""

Amount = Annotated[
    str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,3})?$", description='Decimal text in the currency: "12.50".')
]
Currency = Annotated[str, Field(pattern="^[A-Za-z]{3}$", description="ISO code, such as usd.")]


def decimals_of(currency: str) -> int:
    """How many decimals Stripe's smallest unit of a currency stands for."""
    name = currency.lower()
    return 0 if name in ZERO_DECIMALS else 3 if name in THREE_DECIMALS else 2


def decimal_text(units: int, currency: str) -> str:
    """An amount in the smallest unit as decimal text: 1250 usd is `12.50`, 500 jpy is `500`."""
    return f"{Decimal(units).scaleb(-decimals_of(currency)):f}"


def units_in(text: str, currency: str) -> int:
    """What `decimal_text` has written, as it was."""
    return int(Decimal(text).scaleb(decimals_of(currency)))


def units_of(amount: str, currency: str, *, name: str = "amount") -> int:
    """Decimal text in the smallest unit: what Stripe is sent. Raises `InvalidInputError` for what the currency has not.

    Nothing is rounded: an amount that cannot be paid exactly is refused.
    """
    places, value = decimals_of(currency), Decimal(amount)
    units = value.scaleb(places)
    if units != units.to_integral_value():
        raise _wrong(name, f"{currency.lower()} has {places or 'no'} decimals")
    if currency.lower() in WHOLE_IN_CENTS and units % 100:
        raise _wrong(name, f"{currency.lower()} has no decimals")
    if currency.lower() in THREE_DECIMALS and units % 10:
        raise _wrong(name, f"Stripe takes {currency.lower()} in steps of 0.010")
    if units == 0:
        raise _wrong(name, "must be more than 0")
    return int(units)


def _wrong(name: str, why: str) -> errors.InvalidInputError:
    return errors.InvalidInputError(f"{name} cannot be paid: {why}.", fields={name: why})


def _read(value: Any, info: ValidationInfo) -> Any:
    """Units as decimal text. What is no whole number is no amount, and is reported as a changed contract."""
    currency = info.data.get("currency")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("should be a whole number of the currency's smallest unit")
    return decimal_text(value, currency) if isinstance(currency, str) else None


Money = Annotated[str, BeforeValidator(_read)]
MaybeMoney = Annotated[str | None, BeforeValidator(_read)]
"""A field of a model that Stripe sends in the smallest unit. `currency` must stand before it in the model."""
