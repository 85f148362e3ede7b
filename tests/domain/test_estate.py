"""The estate's rules and sums (rows C11, C12, N8), proven over random histories.

`TRIAGED_FUZZ=10000 pytest tests/domain/test_estate.py` runs as many histories; a few hundred without it.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triaged.domain import cover, estate, spares
from triaged.domain.catalogue import Catalogue, ServiceType, TermStart
from triaged.domain.cover import Commitment, Committed, Cover, Unmatched
from triaged.domain.estate import Entry, Estate, Holding, Kind, Recorded, Refusal, Room, Terms

HISTORIES = int(os.environ.get("TRIAGED_FUZZ", "300"))
MAY = datetime(2026, 5, 4, 9, tzinfo=UTC)
PER_UNIT = 50
GROUPS: tuple[estate.Group, ...] = ((1, ""), (1, "Lyon"), (2, ""))
ROOMS = [Room(number, GROUPS[number % 3], f"room {number}") for number in range(1, 10)]
DEVICES = [estate.Device(number, 1 + number % 2, f"S{number}") for number in range(1, 6)]
SERVICES = (ServiceType.SELECT, ServiceType.SYNCPLUS, ServiceType.SELECT, ServiceType.WARRANTY)


def days(number: float) -> timedelta:
    return timedelta(days=number)


def bought(
    contract: int,
    licences: int,
    begins: datetime = MAY,
    until: datetime | None = None,
    group: estate.Group = (1, ""),
    service: ServiceType = ServiceType.SELECT,
) -> Entry:
    terms = Terms(f"SC-{contract:06d}", service, begins, until)
    return Entry(Kind.PURCHASED, group, contract, quantity=licences, terms=terms)


def gone(contract: int) -> Entry:
    return Entry(Kind.CANCELLED, (1, ""), contract)


# --- random histories ---------------------------------------------------------------------------------------------


@dataclass
class History:
    """What operators did: every three bytes are an act, of which the rules allow some. `ledger` is what came of it."""

    now: datetime = MAY
    ledger: list[Entry] = field(default_factory=list)
    estate: Estate = field(default_factory=Estate)

    def act(self, act: int, one: int, two: int) -> None:
        if act % 8 == 0:
            self.take(self.purchase(one, two))
        elif act % 8 == 1:
            self.now += days(one % 40)
        elif act % 8 == 2:
            device, room = DEVICES[one % 5], ROOMS[two % 9]
            answer = estate.take_out(self.estate, device) if two > 200 else estate.place(self.estate, device, room)
            self.take(answer)
        elif self.estate.holdings:
            self.licence(act, sorted(self.estate.holdings)[one % len(self.estate.holdings)], two)

    def purchase(self, one: int, two: int) -> tuple[Entry, ...]:
        until = self.now + days(10 + two) if two % 3 else None
        number = len(self.estate.holdings) + 1
        return (bought(number, 1 + one % 4, self.now, until, GROUPS[one % 3], SERVICES[two % 4]),)

    def licence(self, act: int, contract: int, two: int) -> None:
        room, other = ROOMS[two % 9], ROOMS[two // 9 % 9]
        match act % 8:
            case 3:
                self.take(estate.release(self.estate, contract, room))
            case 4:
                self.take(estate.move_licence(self.estate, contract, room, other, self.now))
            case 5:
                self.take(estate.cancel(self.estate, contract))
            case 6:
                self.take(estate.restore(self.estate, contract, self.now))
            case _:
                self.take(estate.assign(self.estate, contract, room, self.now))

    def take(self, answer: tuple[Entry, ...] | Refusal) -> None:
        if not isinstance(answer, Refusal):
            self.ledger.extend(answer)
            self.estate = self.estate.after(answer)


def lived(acts: bytes) -> Iterator[History]:
    """The history, after each of its acts."""
    history = History()
    for place in range(0, len(acts) - 2, 3):
        history.act(*acts[place : place + 3])
        yield history


def sound(history: History) -> None:
    """What holds in every estate, whatever happened."""
    seen: set[tuple[int, ServiceType]] = set()
    for holding in history.estate.holdings.values():
        assert 0 <= len(holding.rooms) <= holding.licences
        assert holding.free(history.now) >= 0
        for room in ROOMS:
            if holding.covers(room.id, history.now):
                assert holding.group == room.group
                assert (room.id, holding.terms.service) not in seen, "covered twice"
                seen.add((room.id, holding.terms.service))
    for group in GROUPS:
        for balance in estate.balances(history.estate, group, history.now).values():
            assert 0 <= balance.assigned <= balance.licences
            assert balance.free >= 0


def cancelling_is_undone_exactly(history: History) -> None:
    for contract in history.estate.holdings:
        entries = estate.cancel(history.estate, contract)
        if isinstance(entries, Refusal):
            continue
        without = history.estate.after(entries)
        assert not any(without.holdings[contract].covers(room.id, history.now) for room in ROOMS)
        back = estate.restore(without, contract, history.now)
        assert not isinstance(back, Refusal)
        assert without.after(back) == history.estate


def stream(entry: Entry) -> tuple[str, int | None]:
    return ("contract", entry.contract) if entry.contract else ("device", entry.device)


def interleaved(ledger: list[Entry], dice: random.Random) -> list[Entry]:
    """The same ledger as it might have been written: each contract's and device's entries in their order."""
    queues: dict[tuple[str, int | None], list[Entry]] = {}
    for entry in ledger:
        queues.setdefault(stream(entry), []).append(entry)
    mixed = []
    while waiting := [queue for queue in queues.values() if queue]:
        mixed.append(dice.choice(waiting).pop(0))
    return mixed


@settings(max_examples=HISTORIES, deadline=None)
@given(st.binary(min_size=60, max_size=210), st.integers(0, 2**32))
def test_in_every_history_no_balance_is_negative_and_no_sum_depends_on_the_order(acts: bytes, seed: int) -> None:
    history = History()
    for history in lived(acts):
        sound(history)
    cancelling_is_undone_exactly(history)
    again = estate.fold(interleaved(history.ledger, random.Random(seed)))
    assert again == history.estate
    per = 3  # few licences: lines are crossed
    granted = spares.granted(history.estate.holdings.values(), per, history.now)
    assert granted == spares.granted(again.holdings.values(), per, history.now)
    assert granted == counted_by_hand(list(history.estate.holdings.values()), per, history.now)
    assert granted <= spares.granted(history.estate.holdings.values(), per, history.now + days(500))


def counted_by_hand(holdings: list[Holding], per: int, now: datetime) -> int:
    """Each purchase's moment looked at by itself."""
    select = [one for one in holdings if one.terms.service is ServiceType.SELECT and not one.cancelled]
    moments = [one.terms.begins for one in select if one.terms.begins <= now]
    return max((sum(one.licences for one in select if one.in_force(at)) // per for at in moments), default=0)


def test_random_histories_do_reach_every_kind_of_entry_and_full_contracts() -> None:
    """What the property above is worth: a generator that never fills a contract proves nothing."""
    kinds: set[Kind] = set()
    full = 0

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.binary(min_size=90, max_size=150))
    def look(acts: bytes) -> None:
        nonlocal full
        *_before, history = lived(acts)
        kinds.update(entry.kind for entry in history.ledger)
        full += any(len(one.rooms) == one.licences for one in history.estate.holdings.values())

    look()
    assert kinds >= set(Kind) - {Kind.SPARE_AGREED, Kind.SPARE_WITHDRAWN}
    assert full > 20


# --- spares ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subsidiaries", [(1, 1, 1), (1, 2, 3), (2, 1, 2)])
@pytest.mark.parametrize("order", list(permutations(((40, 0), (40, 180), (20, 270)))))
def test_40_and_40_and_20_rooms_are_0_1_2_spares_in_any_order_of_arrival(
    order: tuple[tuple[int, int], ...], subsidiaries: tuple[int, ...]
) -> None:
    entries = [
        bought(number, licences, MAY + days(after), MAY + days(1000), (subsidiary, ""))
        for number, ((licences, after), subsidiary) in enumerate(zip(order, subsidiaries, strict=True), 1)
    ]
    held = estate.fold(entries).holdings.values()
    seen = [spares.granted(held, PER_UNIT, MAY + days(after)) for after in (0, 180, 270, 400)]
    assert seen == [0, 1, 2, 2]
    assert spares.rooms(held, MAY + days(300)) == 100


def test_each_purchase_in_turn_is_0_1_2() -> None:
    arrived: list[Entry] = []
    seen = []
    for number, licences in enumerate((40, 40, 20), 1):
        arrived.append(bought(number, licences))
        seen.append(spares.granted(estate.fold(arrived).holdings.values(), PER_UNIT, MAY))
    assert seen == [0, 1, 2]


def test_cancelling_the_second_purchase_takes_back_what_it_granted() -> None:
    entries = [bought(1, 40), bought(2, 40), bought(3, 20)]
    before, after = estate.fold(entries), estate.fold([*entries, gone(2)])
    assert spares.granted(before.holdings.values(), PER_UNIT, MAY) == 2
    assert spares.granted(after.holdings.values(), PER_UNIT, MAY) == 1
    assert spares.granted(estate.fold([*entries[:2], gone(2)]).holdings.values(), PER_UNIT, MAY) == 0


def test_the_end_of_a_term_takes_no_spare_back_and_a_renewal_grants_none_twice() -> None:
    first = bought(1, 60, MAY, MAY + days(365))
    renewed = bought(2, 60, MAY + days(365), MAY + days(730))
    held = estate.fold([first, renewed]).holdings.values()
    assert spares.granted(estate.fold([first]).holdings.values(), PER_UNIT, MAY + days(500)) == 1
    assert spares.rooms(estate.fold([first]).holdings.values(), MAY + days(500)) == 0
    assert spares.granted(held, PER_UNIT, MAY + days(800)) == 1


def test_only_select_counts_for_spares() -> None:
    held = estate.fold([bought(1, 500, service=ServiceType.SYNCPLUS), bought(2, 500, service=ServiceType.WARRANTY)])
    assert spares.granted(held.holdings.values(), PER_UNIT, MAY) == 0


DEPLOYED, PLACES = {"Rally Bar", "Tap IP"}, {"1 rue de la Paix, Paris", "Lyon"}


def agreed(product: str, place: str, units: int, before: Estate | None = None) -> tuple[Entry, ...] | Refusal:
    spare = before.spares if before else {}
    return spares.agree(spare, 2, DEPLOYED, PLACES, (product, place, units), (1, ""))


def test_spares_that_were_agreed_on_match_what_is_deployed_and_stand_in_its_spelling() -> None:
    entries = agreed("rallybar", "1 Rue de la Paix PARIS", 1)
    assert not isinstance(entries, Refusal)
    assert estate.fold(entries).spares == {("Rally Bar", "1 rue de la Paix, Paris"): 1}


@pytest.mark.parametrize(
    ("product", "place", "units", "why"),
    [
        ("MeetUp", "Lyon", 1, "stands in none"),
        ("Rally Bar", "Marseille", 1, "no address"),
        ("Rally Bar", "Lyon", 3, "too many"),
        ("Rally Bar", "Lyon", 0, "one unit or more"),
        ("", "Lyon", 1, "stands in none"),
    ],
)
def test_no_spare_is_agreed_on_that_does_not_match(product: str, place: str, units: int, why: str) -> None:
    refusal = agreed(product, place, units)
    assert isinstance(refusal, Refusal)
    assert why in refusal.text


def test_no_more_spares_are_agreed_on_than_granted_and_a_withdrawn_one_is_free_again() -> None:
    two = estate.fold([*_entries(agreed("Rally Bar", "Lyon", 1)), *_entries(agreed("Tap IP", "Lyon", 1))])
    assert isinstance(agreed("Tap IP", "Lyon", 1, two), Refusal)
    back = _entries(spares.withdraw(two.spares, ("tap ip", "LYON", 1), (1, "")))
    one = two.after(back)
    assert one.spares == {("Rally Bar", "Lyon"): 1}
    assert not isinstance(agreed("Tap IP", "Lyon", 1, one), Refusal)
    assert isinstance(spares.withdraw(one.spares, ("Tap IP", "Lyon", 1), (1, "")), Refusal)


def _entries(answer: tuple[Entry, ...] | Refusal) -> tuple[Entry, ...]:
    assert not isinstance(answer, Refusal), answer
    return answer


# --- licences ---------------------------------------------------------------------------------------------------------

ALPHA, BETA = Room(1, (1, ""), "Alpha"), Room(2, (1, ""), "Beta")


def refused(answer: tuple[Entry, ...] | Refusal) -> str:
    assert isinstance(answer, Refusal)
    return answer.text


def assigned(sums: Estate, contract: int, room: Room) -> Estate:
    return sums.after(_entries(estate.assign(sums, contract, room, MAY)))


def test_a_room_takes_one_licence_and_the_last_one_is_the_last() -> None:
    one = estate.fold([bought(1, 1)])
    full = assigned(one, 1, ALPHA)
    assert "already covered by SC-000001" in refused(estate.assign(full, 1, ALPHA, MAY))
    assert "all 1 licences" in refused(estate.assign(full, 1, BETA, MAY))
    assert estate.balances(full, (1, ""), MAY) == {ServiceType.SELECT: estate.Balance(1, 1)}


def test_select_and_syncplus_may_cover_the_same_room() -> None:
    both = estate.fold([bought(1, 1), bought(2, 1, service=ServiceType.SYNCPLUS)])
    covered = assigned(assigned(both, 1, ALPHA), 2, ALPHA)
    assert {one.contract for one in covered.holdings.values() if one.covers(1, MAY)} == {1, 2}


def test_a_site_has_its_own_licences() -> None:
    lyon = Room(3, (1, "Lyon"), "Lyon 1")
    assert "another account" in refused(estate.assign(estate.fold([bought(1, 5)]), 1, lyon, MAY))


def test_what_is_not_in_force_covers_nothing() -> None:
    sums = estate.fold([bought(1, 5), gone(1), bought(2, 5, until=MAY + days(1)), bought(3, 5, MAY + days(1))])
    assert "is cancelled" in refused(estate.assign(sums, 1, ALPHA, MAY))
    assert "not in force" in refused(estate.assign(sums, 2, ALPHA, MAY + days(1)))
    assert "not in force" in refused(estate.assign(sums, 3, ALPHA, MAY))
    warranty = estate.fold([bought(4, 5, service=ServiceType.WARRANTY)])
    assert "covers devices" in refused(estate.assign(warranty, 4, ALPHA, MAY))
    assert warranty.holdings[4].free(MAY) == 0
    assert "not in the ledger" in refused(estate.assign(sums, 9, ALPHA, MAY))


def test_a_licence_moves_as_a_whole_or_not_at_all() -> None:
    sums = assigned(estate.fold([bought(1, 1), bought(2, 1)]), 1, ALPHA)
    moved = sums.after(_entries(estate.move_licence(sums, 1, ALPHA, BETA, MAY)))
    assert moved.holdings[1].rooms == {2}
    assert "does not cover room Alpha" in refused(estate.move_licence(moved, 1, ALPHA, BETA, MAY))
    both = assigned(sums, 2, BETA)
    assert "already covered by SC-000002" in refused(estate.move_licence(both, 1, ALPHA, BETA, MAY))


def test_a_restored_contract_leaves_a_room_to_the_one_that_covered_it_meanwhile() -> None:
    sums = assigned(assigned(estate.fold([bought(1, 2), bought(2, 1)]), 1, ALPHA), 1, BETA)
    without = sums.after(_entries(estate.cancel(sums, 1)))
    taken = assigned(without, 2, ALPHA)
    back = taken.after(_entries(estate.restore(taken, 1, MAY)))
    assert (back.holdings[1].rooms, back.holdings[2].rooms) == ({2}, {1})
    assert back.holdings[1].free(MAY) == 1
    assert "nothing to restore" in refused(estate.restore(back, 1, MAY))


def test_a_contract_that_is_over_keeps_its_rooms_when_it_is_cancelled_and_restored() -> None:
    """Found by the random histories: it covers nothing, so it takes no room from the contract that came after it."""
    over = bought(1, 1, MAY - days(400), MAY - days(35))
    before = assigned(estate.fold([over, Entry(Kind.ASSIGNED, (1, ""), 1, 1), bought(2, 1)]), 2, ALPHA)
    without = before.after(_entries(estate.cancel(before, 1)))
    assert without.after(_entries(estate.restore(without, 1, MAY))) == before


def test_a_rooms_history_tells_what_came_and_went_also_with_the_contract() -> None:
    entries = [
        bought(1, 2),
        Entry(Kind.ASSIGNED, (1, ""), 1, 1),
        Entry(Kind.DEVICE_PLACED, (1, ""), room=1, device=7),
        Entry(Kind.ASSIGNED, (1, ""), 1, 2),
        Entry(Kind.DEVICE_MOVED, (1, ""), room=2, device=7, came_from=1),
        gone(1),
        Entry(Kind.RESTORED, (1, ""), 1),
        Entry(Kind.RELEASED, (1, ""), 1, 1),
        gone(1),
    ]
    ledger = [Recorded(number, MAY, "alma", entry) for number, entry in enumerate(entries)]
    assert [one.id for one in estate.room_history(ledger, 1)] == [1, 2, 4, 5, 6, 7]
    assert [one.id for one in estate.device_history(ledger, 7)] == [2, 4]


# --- devices, warranty, JumpStart -------------------------------------------------------------------------------------

CATALOGUE = Catalogue(
    skus={},
    products=("Rally Bar", "Rally Bar Mini", "Tap IP"),
    countries={},
    rooms_per_spare=PER_UNIT,
    invitation_valid=days(30),
    cancellation=days(30),
    warranty_max_years=5,
    term_start=TermStart.PURCHASE,
    term_latest=None,
)


@pytest.mark.parametrize("written", ["Rally Bar", "rally bar", "RALLYBAR", " Rally  Bar ", "Rally-Bar"])
def test_a_product_is_known_however_it_is_spaced(written: str) -> None:
    assert estate.supported(written, CATALOGUE) == "Rally Bar"


def test_an_unsupported_product_is_refused_with_the_list_and_how_to_extend_it() -> None:
    refusal = estate.supported("Rally Barr", CATALOGUE)
    assert isinstance(refusal, Refusal)
    assert "Rally Bar, Rally Bar Mini, Tap IP" in refusal.text
    assert "[[product]]" in refusal.text


def test_a_device_moves_within_its_account_only_and_its_history_names_both_rooms() -> None:
    device = estate.Device(7, 1, "S7")
    placed = Estate().after(_entries(estate.place(Estate(), device, ALPHA)))
    (moved,) = _entries(estate.place(placed, device, BETA))
    assert (moved.kind, moved.came_from, moved.room) == (Kind.DEVICE_MOVED, 1, 2)
    assert "already" in refused(estate.place(placed, device, ALPHA))
    assert "another account" in refused(estate.place(placed, device, Room(3, (1, "Lyon"), "Lyon 1")))
    assert "another customer" in refused(estate.place(placed, device, Room(4, (2, ""), "Theirs")))
    out = placed.after(_entries(estate.take_out(placed, device)))
    assert out.devices == {}
    assert "in no room" in refused(estate.take_out(out, device))


@pytest.mark.parametrize(
    ("bought_on", "covers", "expected"),
    [
        (date(2026, 5, 4), [(date(2026, 5, 4), date(2031, 5, 3))], date(2031, 5, 3)),
        (date(2024, 1, 10), [(date(2026, 5, 4), date(2031, 5, 3))], date(2029, 1, 9)),  # five years in all
        (date(2019, 1, 10), [(date(2026, 5, 4), date(2031, 5, 3))], None),  # older than five years from the start
        (MAY.date(), [(MAY.date(), date(2028, 1, 1)), (MAY.date(), date(2027, 5, 3))], date(2028, 1, 1)),
        (date(2026, 1, 1), [], None),
    ],
)  # fmt: skip
def test_a_device_is_covered_by_the_longest_and_never_beyond_five_years(
    bought_on: date, covers: list[tuple[date, date]], expected: date | None
) -> None:
    assert expected == cover.device_covered_until(bought_on, [Cover(*one) for one in covers], CATALOGUE)


def test_select_answers_for_a_room_before_jumpstart_and_jumpstart_for_90_days() -> None:
    bought_on = date(2026, 5, 4)
    select = Cover(bought_on, date(2027, 5, 3))
    assert cover.commitment(select, True, bought_on, bought_on) == Committed(Commitment.SELECT, date(2027, 5, 3))
    assert cover.commitment(None, True, bought_on, bought_on) == Committed(Commitment.SELECT)
    ninety = Committed(Commitment.JUMPSTART, date(2026, 8, 2))
    assert cover.commitment(None, False, bought_on, date(2026, 8, 2)) == ninety
    assert cover.commitment(None, False, bought_on, date(2026, 8, 3)) == Committed(Commitment.NONE)
    assert cover.commitment(None, False, bought_on, date(2026, 5, 3)) == Committed(Commitment.NONE)
    assert cover.commitment(None, False, None, bought_on) == Committed(Commitment.NONE)


@pytest.mark.parametrize(
    ("status", "customer", "device_of", "why"),
    [
        ("processed", 1, 1, None),
        ("pending", 1, 1, Unmatched.ORDER_PENDING),
        ("processed", None, 1, Unmatched.CUSTOMER_UNKNOWN),
        ("processed", 1, None, Unmatched.SERIAL_UNKNOWN),
        ("processed", 1, 2, Unmatched.OTHER_CUSTOMER),
    ],
)
def test_an_extension_stands_or_says_why_not(
    status: str, customer: int | None, device_of: int | None, why: Unmatched | None
) -> None:
    assert why == cover.unmatched(status, customer, device_of)
