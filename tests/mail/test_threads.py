import pytest

from triaged.domain.message import Message
from triaged.mail import threads

KEY = b"k" * 32
OTHER_KEY = b"o" * 32
DOMAIN = "support.example"


def test_log_ids_are_eight_base_32_characters_and_lead_back_to_their_row() -> None:
    rows = [*range(3000), 2**20 - 1, 2**20, 2**39, 2**40 - 1]
    ids = {threads.log_id(row, KEY) for row in rows}
    assert len(ids) == len(rows)
    assert all(len(name) == 8 and set(name) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for name in ids)
    assert [threads.row_of(threads.log_id(row, KEY), KEY) for row in rows] == rows
    assert threads.row_of(threads.log_id(7, KEY).lower(), KEY) == 7


def test_log_ids_of_neighbours_and_of_other_keys_have_nothing_in_common() -> None:
    assert threads.log_id(1, KEY) != threads.log_id(1, OTHER_KEY)
    same_place = sum(
        a == b
        for row in range(500)
        for a, b in zip(threads.log_id(row, KEY), threads.log_id(row + 1, KEY), strict=True)
    )
    assert same_place < 500 * 8 / 32 * 2


@pytest.mark.parametrize("text", ["", "ABCDEFG", "ABCDEFGHI", "ABCDEFGI", "ABCDEFGU", "ÀBCDEFGH"])
def test_what_is_no_log_id_leads_nowhere(text: str) -> None:
    assert threads.row_of(text, KEY) is None


def test_a_message_id_of_ours_shows_ticket_and_cause_and_never_changes() -> None:
    made = threads.message_id("EU-000123", "7Q3KX2M8.1", DOMAIN, KEY)
    assert made.startswith("<eu-000123.7q3kx2m8.1.")
    assert made.endswith("@support.example>")
    assert len(made.split(".")[3].partition("@")[0]) == 16
    assert made == threads.message_id("EU-000123", "7Q3KX2M8.1", DOMAIN, KEY)
    assert threads.message_id("", "7Q3KX2M8.1", DOMAIN, KEY).startswith("<x.7q3kx2m8.1.")


def reply(*references: str, to: str = "") -> Message:
    return Message(in_reply_to=(to,) if to else (), references=references)


OURS = threads.message_id("EU-000123", "7Q3KX2M8.1", DOMAIN, KEY)
OLDER = threads.message_id("EU-000099", "AAAAAAAA.1", DOMAIN, KEY)


def test_a_reply_is_tied_to_its_ticket_by_in_reply_to_or_by_references() -> None:
    assert threads.ticket_of(reply(to=OURS), DOMAIN, KEY) == "EU-000123"
    assert threads.ticket_of(reply("<a@b>", OURS, "<c@d>"), DOMAIN, KEY) == "EU-000123"
    assert threads.ticket_of(reply(to=OURS.upper()), DOMAIN, KEY) == "EU-000123"


def test_the_nearest_mail_of_ours_decides() -> None:
    assert threads.ticket_of(reply(OLDER, OURS), DOMAIN, KEY) == "EU-000123"
    assert threads.ticket_of(reply(OLDER, to=OURS), DOMAIN, KEY) == "EU-000123"
    assert threads.ticket_of(reply(OURS, to="<foreign@x>"), DOMAIN, KEY) == "EU-000123"


def test_a_mail_about_no_ticket_is_ours_but_ties_to_none() -> None:
    made = threads.message_id("", "7Q3KX2M8.1", DOMAIN, KEY)
    assert threads.is_ours(made, DOMAIN, KEY)
    assert threads.ticket_of(reply(made), DOMAIN, KEY) is None


@pytest.mark.parametrize(
    "forged",
    [
        OURS.replace("eu-000123", "eu-000124"),
        OURS.replace("7q3kx2m8.1", "7q3kx2m8.2"),
        OURS.replace("@support.example", "@evil.example"),
        threads.message_id("EU-000123", "7Q3KX2M8.1", DOMAIN, OTHER_KEY),
        threads.message_id("EU-000123", "7Q3KX2M8.1", "evil.example", KEY).replace("evil.example", DOMAIN),
        OURS[:-1],
        "<eu-000123.x.0000000000000000@support.example>",
        "<eu-000123@support.example>",
        "",
        "<>",
        "<" + "a." * 5000 + "@support.example>",
    ],
)
def test_a_guessed_or_changed_id_proves_nothing(forged: str) -> None:
    assert not threads.is_ours(forged, DOMAIN, KEY)
    assert threads.ticket_of(reply(forged, to=forged), DOMAIN, KEY) is None


def test_only_the_form_is_asked_where_anybody_may_write_it() -> None:
    assert threads.looks_ours("<x.abcdefgh.1.0123456789abcdef@support.example>", DOMAIN)
    assert not threads.looks_ours("<x.abcdefgh.1.0123456789abcdef@other.example>", DOMAIN)
    assert not threads.looks_ours("<20261014.abc@support.example>", DOMAIN)


def test_this_programs_form_is_known_whatever_the_house() -> None:
    assert threads.is_keyed("<X.abcdefgh.1.0123456789abcdef@other.example>")
    assert not threads.is_keyed("<20261014.abc@other.example>")


PATH = threads.return_path(OURS, DOMAIN, KEY)


def sent_to(*fields: tuple[str, str]) -> Message:
    return Message(fields=fields)


def test_a_return_path_names_its_mail_and_nothing_else_does() -> None:
    assert PATH.startswith("bounce+eu-000123.7q3kx2m8.1.")
    assert len(PATH.partition("@")[0]) <= 64
    assert threads.is_return_path(PATH, DOMAIN)
    assert threads.returned(sent_to(("to", f"<{PATH.upper()}>")), DOMAIN, KEY) == OURS
    assert threads.returned(sent_to(("received", f"from x by y for <{PATH}>; Mon")), DOMAIN, KEY) == OURS
    assert threads.returned(sent_to(("subject", PATH)), DOMAIN, KEY) == ""


def test_two_return_paths_prove_nothing_and_a_forged_one_beside_the_right_one_does_not_hide_it() -> None:
    other = threads.return_path(OLDER, DOMAIN, KEY)
    forged = PATH.replace("7q3kx2m8.1", "7q3kx2m8.2")
    assert threads.returned(sent_to(("to", PATH), ("delivered-to", other)), DOMAIN, KEY) == ""
    assert threads.returned(sent_to(("to", forged), ("delivered-to", PATH)), DOMAIN, KEY) == OURS


@pytest.mark.parametrize(
    "forged",
    [
        PATH.replace("eu-000123", "eu-000124"),
        PATH.replace("@support.example", "@evil.example"),
        "bounce+" + OURS.strip("<>"),  # the MAC that everybody in the thread can read
        threads.return_path(OURS, DOMAIN, OTHER_KEY),
        "x" + PATH,
        "bounce+@support.example",
        "",
    ],
)
def test_a_guessed_return_path_proves_nothing(forged: str) -> None:
    assert threads.returned(sent_to(("to", forged)), DOMAIN, KEY) == ""


def test_a_return_path_that_smtp_could_not_carry_is_none() -> None:
    long = threads.message_id("", "order." + "x" * 40, DOMAIN, KEY)
    assert threads.is_ours(long, DOMAIN, KEY)
    assert threads.return_path(long, DOMAIN, KEY) == ""
    assert threads.return_path("<foreign@x>", DOMAIN, KEY) == ""


def test_of_a_flood_of_references_the_newest_are_tried() -> None:
    flood = ("<f@x>",) * 100_000
    assert threads.ticket_of(reply(*flood, OURS), DOMAIN, KEY) == "EU-000123"
    assert threads.ticket_of(reply(OURS, *flood), DOMAIN, KEY) is None


@pytest.mark.parametrize(
    ("subject", "number"),
    [
        ("Re: [EU-000123] Panne", "EU-000123"),
        ("AW: [eu-000123] RE: [EU-000123] Panne", "EU-000123"),
        ("[EU-000123] and [EU-000124]", None),
        ("EU-000123", None),
        ("[123]", None),
        ("[list] [US-1] hello", "US-1"),
        ("[EU-" + "1" * 5000 + "]", None),
        ("", None),
    ],
)
def test_the_number_in_a_subject(subject: str, number: str | None) -> None:
    assert threads.number_in_subject(subject) == number
