"""What an operator does to a customer's estate: licences to rooms, devices, agreed spares (rows C11, C12, C14).

Each is one transaction: the rule is asked, its entries are written, the mails that it owes are owed.
"""

from collections.abc import Sequence
from datetime import datetime

from triaged.adapters.db import contracts, customers, estate_views, rooms
from triaged.adapters.db import estate as ledger
from triaged.adapters.db.contract_models import Customer, Room
from triaged.adapters.db.contracts import ContractRecord
from triaged.adapters.db.engine import Session
from triaged.desks import correspondence, letters
from triaged.desks.bureau import Bureau
from triaged.desks.case import Desk
from triaged.domain import estate, spares
from triaged.domain.catalogue import ServiceType
from triaged.domain.errors import PermanentError
from triaged.domain.estate import Entry, Refusal
from triaged.domain.notices import CountryNote, Notice, NoticeName
from triaged.domain.order import Role


def assign(bureau: Bureau, number: str, names: Sequence[str], now: datetime) -> tuple[Notice, ...]:
    """A licence of a contract to each of these rooms, all or none. Returns the mails that are owed.

    Raises PermanentError where the contract or a room is not there, or the rule refuses."""
    with bureau.database.write() as session:
        row = contracts.numbered(session, number)
        sums = ledger.locked(session, {row.customer_id})
        wanted = [rooms.room(session, name, (row.customer_id, row.site)) for name in names]
        entries: list[Entry] = []
        for room in wanted:
            more = _allowed(estate.assign(sums, row.id, rooms.ruled_room(room), now))
            sums, entries = sums.after(more), [*entries, *more]
        return _given(session, bureau, row.id, entries, wanted, now)


def release(bureau: Bureau, number: str, name: str, now: datetime) -> None:
    """Take the licence of a contract from a room. Raises PermanentError where it does not cover it."""
    with bureau.database.write() as session:
        row = contracts.numbered(session, number)
        sums = ledger.locked(session, {row.customer_id})
        room = rooms.room(session, name, (row.customer_id, row.site))
        entries = _allowed(estate.release(sums, row.id, rooms.ruled_room(room)))
        ledger.add(session, entries, bureau.actor, now)


def move_licence(bureau: Bureau, number: str, source: str, target: str, now: datetime) -> tuple[Notice, ...]:
    """From one room to another: both or nothing. Raises PermanentError where the rule refuses."""
    with bureau.database.write() as session:
        row = contracts.numbered(session, number)
        sums = ledger.locked(session, {row.customer_id})
        left, taken = (rooms.room(session, name, (row.customer_id, row.site)) for name in (source, target))
        pair = (rooms.ruled_room(left), rooms.ruled_room(taken))
        entries = _allowed(estate.move_licence(sums, row.id, *pair, now))
        return _given(session, bureau, row.id, entries, [taken], now)


def _given(
    session: Session, bureau: Bureau, contract_id: int, entries: Sequence[Entry], given: Sequence[Room], now: datetime
) -> tuple[Notice, ...]:
    """Write the entries; say what differs in the countries of the rooms that are covered now."""
    ids = ledger.add(session, entries, bureau.actor, now)
    ledger.first_assigned(session, contract_id, now, bureau.desk.settings.catalogue)
    contract = contracts.one(session, contract_id)
    assert contract is not None  # its row is locked above
    family = customers.family(session, contract.customer_id)
    home = session.get(Customer, contract.customer_id)
    notices = notices_for(bureau.desk, contract, given, (home.country if home else "") or contract.country, family.csm)
    cause = correspondence.Cause(
        key=f"x{ids[-1]}",
        log_id=f"{contract.number}.x{ids[-1]}",
        desk="contracts",
        mailbox=letters.place_of(contract, bureau.desk.settings).mailbox.name,
        contract_id=contract_id,
    )
    correspondence.owe(session, bureau.post, notices, "", cause, now)
    return notices


def notices_for(desk: Desk, contract: ContractRecord, given: Sequence[Room], home: str, csm: str) -> tuple[Notice, ...]:
    """`country_terms` to the customer and `csm_note` to the CSM, one each, where the service is missing or differs in
    a room's country (row C14). `home` is the customer's country, for rooms that have none."""
    locale, ours = letters.spoken(desk, contract.locale), letters.spoken(desk, desk.settings.service.locale)
    notes, for_csm = (_notes(desk, contract, given, home, language) for language in (locale, ours))
    if not notes:
        return ()
    place, told = letters.place_of(contract, desk.settings), (letters.told(contract, Role.CUSTOMER),)
    facts = place.facts(
        desk.settings,
        party=Role.CUSTOMER.value,
        customer=contract.customer,
        site=contract.site,
        contracts=told,
        countries=notes,
    )
    to_customer = Notice(NoticeName.COUNTRY_TERMS, (contract.customer_party.email,), locale, facts)
    return (to_customer, *letters.csm_note(place, desk, csm, contract.customer, told, None, for_csm))


def _notes(
    desk: Desk, contract: ContractRecord, given: Sequence[Room], home: str, locale: str
) -> tuple[CountryNote, ...]:
    """One note per room whose country is in the catalogue for the contract's service."""
    countries, service = desk.settings.catalogue.countries, ServiceType(contract.service)
    places = ((countries.get(room.country or home), room.name) for room in given)
    return tuple(
        CountryNote(one.code, one.note_in(locale), tuple(s.value for s in one.services), name)
        for one, name in places
        if one is not None and service in one.services
    )


def move_device(bureau: Bureau, serial: str, name: str | None, now: datetime) -> None:
    """Into a room of its account; None: out of every room. Raises PermanentError where the rule refuses."""
    with bureau.database.write() as session:
        device = rooms.device(session, serial)
        sums = ledger.locked(session, {device.customer_id})
        if name is None:
            entries = _allowed(estate.take_out(sums, rooms.ruled_device(device)))
        else:
            standing = sums.devices.get(device.id)
            group = standing.group if standing else (device.customer_id, "")
            room = rooms.ruled_room(rooms.room(session, name, group))
            entries = _allowed(estate.place(sums, rooms.ruled_device(device), room))
        ledger.add(session, entries, bureau.actor, now)


def agree_spares(bureau: Bureau, customer: str, wanted: tuple[str, str, int], now: datetime) -> ledger.SparesRecord:
    """Which hardware, to which site, how many: as agreed with the CSM (row C12). `wanted`: product, place, units.

    Raises PermanentError where the hardware is not deployed, the place unknown, or more than granted."""
    return _agreed(bureau, customer, wanted, now, withdraw=False)


def withdraw_spares(bureau: Bureau, customer: str, wanted: tuple[str, str, int], now: datetime) -> ledger.SparesRecord:
    """Take back what was agreed. Raises PermanentError where it was not."""
    return _agreed(bureau, customer, wanted, now, withdraw=True)


def _agreed(
    bureau: Bureau, name: str, wanted: tuple[str, str, int], now: datetime, *, withdraw: bool
) -> ledger.SparesRecord:
    catalogue = bureau.desk.settings.catalogue
    with bureau.database.write() as session:
        customer = rooms.need_customer(session, name)
        family = customers.family(session, customer.id)
        sums = ledger.locked(session, family.members)
        group = (customer.id, "")
        if withdraw:
            own = ledger.load(session, {customer.id}).spares  # what this customer agreed on, not its family
            entries = spares.withdraw(own, wanted, group)
        else:
            units = spares.granted(sums.holdings.values(), catalogue.rooms_per_spare, now)
            deployed = estate_views.deployed(session, family.members)
            places = estate_views.places(session, family.members)
            entries = spares.agree(sums.spares, units, deployed, places, wanted, group)
        ledger.add(session, _allowed(entries), bureau.actor, now)
        return ledger.spares_of(session, family, now, catalogue)


def _allowed(answer: tuple[Entry, ...] | Refusal) -> tuple[Entry, ...]:
    if isinstance(answer, Refusal):
        raise PermanentError(answer.text)
    return answer
