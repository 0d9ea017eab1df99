"""What things cost, as the operator knows it: `[prices]` in `clew.toml`.

[prices]
currency = "EUR"
tokens_in = 3.0           # for a million tokens that a model reads: tool results
tokens_out = 15.0         # for a million tokens that a model writes: arguments
[prices.units]
twilio = 0.0079           # for each request to a provider
"stripe.points" = 0.001   # for each unit of one of its budgets
"""

from collections.abc import Mapping
from typing import Any

from clew.core.errors import ConfigurationError
from clew.core.fields import as_object

_KNOWN = ("currency", "tokens_in", "tokens_out", "units")


def check_prices(value: Any, where: str) -> dict[str, Any]:
    """The table as it is meant. Raises `ConfigurationError`."""
    table = as_object(value)
    if table is None or not set(table) <= set(_KNOWN):
        raise ConfigurationError(f"{where} must be a table with {', '.join(_KNOWN)}.")
    if not isinstance(table.get("currency", ""), str):
        raise ConfigurationError(f"{where}: currency must be a text, like EUR.")
    units = as_object(table.get("units", {}))
    if units is None:
        raise ConfigurationError(f"{where}: units must be a table of connectors and their price.")
    amounts = {name: table[name] for name in ("tokens_in", "tokens_out") if name in table} | units
    for name, amount in amounts.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or amount < 0:
            raise ConfigurationError(f"{where}: {name} must be a number, not {amount!r}.")
    return {**table, "units": units}


def money(record: Mapping[str, Any], prices: Mapping[str, Any]) -> float:
    """What one call cost, in the currency of the prices. A tool's result is what the model reads, its input."""
    cost: float = record.get("tokens_out", 0) * prices.get("tokens_in", 0.0) / 1e6
    cost += record.get("tokens_in", 0) * prices.get("tokens_out", 0.0) / 1e6
    units: Mapping[str, float] = prices.get("units", {})
    for name, amount in record.get("units", {}).items():
        price = units.get(record["connector"], 0.0) if name == "requests" else 0.0
        cost += amount * units.get(f"{record['connector']}.{name}", price)
    return cost
