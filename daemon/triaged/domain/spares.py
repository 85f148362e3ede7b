"""On-site spares of a parent entity (row C12): one unit per so many rooms of Select licences, over all purchases.

Granted is the highest that the licences in force have ever come to: so it does not depend on the order in which orders
arrive, the end of a term takes nothing back, and a cancelled contract counts as if it had never been.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import accumulate

from triaged.domain import order
from triaged.domain.catalogue import ServiceType
from triaged.domain.estate import Entry, Group, Holding, Kind, Refusal


def granted(holdings: Iterable[Holding], rooms_per_unit: int, now: datetime) -> int:
    """Units that were granted up to `now` over the contracts of one parent entity."""
    changes: list[tuple[datetime, int]] = []
    for holding in _counting(holdings):
        changes.append((holding.terms.begins, holding.licences))
        if holding.terms.until is not None:
            changes.append((holding.terms.until, -holding.licences))
    upto = sorted(change for change in changes if change[0] <= now)  # at one instant what ends goes first
    return max(accumulate(licences for _at, licences in upto), default=0) // rooms_per_unit


def rooms(holdings: Iterable[Holding], now: datetime) -> int:
    """Select licences in force, assigned to a room or not."""
    return sum(holding.licences for holding in _counting(holdings) if holding.in_force(now))


def _counting(holdings: Iterable[Holding]) -> list[Holding]:
    return [one for one in holdings if one.terms.service is ServiceType.SELECT and not one.cancelled]


def agree(
    agreed: Mapping[tuple[str, str], int],
    units: int,
    deployed: Collection[str],
    places: Collection[str],
    wanted: tuple[str, str, int],
    group: Group,
) -> tuple[Entry, ...] | Refusal:
    """Write down what was agreed with the CSM. `units` are granted; `deployed` the products that stand in the
    customer's rooms, `places` its addresses and the places of its rooms; `wanted`: product, place, quantity."""
    product, where, quantity = wanted
    if quantity < 1:
        return Refusal("agree on one unit or more")
    hardware, site = _spelled(product, deployed), _spelled(where, places)
    if hardware is None:
        return Refusal(f"{product} stands in none of the customer's rooms (there are: {_list(deployed)})")
    if site is None:
        return Refusal(f"{where} is no address of the customer and no place of a room (there are: {_list(places)})")
    left = units - sum(agreed.values())
    if quantity > left:
        return Refusal(f"{units} units are granted, {units - left} agreed on: {quantity} more are too many")
    return (Entry(Kind.SPARE_AGREED, group, quantity=quantity, product=hardware, place=site),)


def withdraw(
    agreed: Mapping[tuple[str, str], int], wanted: tuple[str, str, int], group: Group
) -> tuple[Entry, ...] | Refusal:
    """Take back what was agreed: a mistake, another choice, or a unit that came back."""
    product, where, quantity = wanted
    found = {(order.folded(name), order.folded(place)): (name, place) for name, place in agreed}
    key = found.get((order.folded(product), order.folded(where)))
    if key is None or not 1 <= quantity <= agreed[key]:
        have = ", ".join(f"{units} {name} at {place}" for (name, place), units in agreed.items()) or "nothing"
        return Refusal(f"{quantity} {product} at {where} are not agreed on (there is: {have})")
    return (Entry(Kind.SPARE_WITHDRAWN, group, quantity=quantity, product=key[0], place=key[1]),)


def _spelled(written: str, known: Iterable[str]) -> str | None:
    """How a known text is written; case, accents, punctuation and spacing don't matter."""

    def plain(text: str) -> str:
        return order.folded(text).replace(" ", "")

    return next((text for text in sorted(known) if plain(text) == plain(written) != ""), None)


def _list(texts: Collection[str]) -> str:
    return "; ".join(sorted(texts)) or "none"
