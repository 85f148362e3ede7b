"""Who wrote: exactly one address, or nobody."""

import time

import pytest

from triaged.mail import addresses

PLAIN = {
    "jean@integra.example": "jean@integra.example",
    "Jean <JEAN@Integra.Example>": "jean@integra.example",
    '"Bon, Jean" <jean@integra.example>': "jean@integra.example",
    "jean@integra.example (Jean (le) Bon)": "jean@integra.example",
    "=?iso-8859-1?Q?B=FCr,=20A?= <a@b>": "a@b",
    '"real@corp.example" <other@evil.example>': "other@evil.example",
    "a@b.example <a@b.example>": "a@b.example",
    '"=?utf-8?q?x=22=3Cy=40z=3E?=" <a@b>': "a@b",
    "Zoë <a@caf\u00e9.example>": "a@xn--caf-dma.example",
}
DOUBTFUL = {
    '"jean@integra.example"': "jean@integra.example",
    "Jean jean@integra.example": "jean@integra.example",
    '"Firm " <>, "LTD" <a@b>': "a@b",
    '"X.Si" <other@host.example.>': "other@host.example",
    "Doe, John <a@b>": "a@b",
    "Team: a@b;": "a@b",
    "mailto:a@b.example": "a@b.example",
    '"never closed <a@b>': "a@b",
    "<a@b": "a@b",
    "victim@corp.example <a@b>": "a@b",
}
NOBODY = [
    "",
    "[??????]",
    "<>",
    '"=?GB2312?B?ztI=?=" <>',
    '"x" <three words@host>',
    "a@b, c@d",
    "<a@b> <c@d>",
    "A: a@b; B: c@d;",
    "undisclosed recipients: ;",
    "<Undisclosed-Recipient:@host;>",
    "MAILER-DAEMON (Mail Delivery System)",
    "a(comment)@b.example",
    "=?utf-8?q?a=40b.example?=",
    "=?utf-8?q?a?=@b.example",
    "j\u00e9an@integra.example",
    '"jean@integra.example"@evil.example',
    '"jean@integra.example" @evil.example',
    'X "jean@integra.example"@evil.example',
]
LOOK_ALIKES = [
    "a@\uff43orp.example",
    "a@corp\u3002example",
    "a@corp.exam\u200bple",
    "a@\u212aorp.example",
    "a@corp..example",
    "a@-corp.example",
    "a@[192.0.2.1]",
    "a@" + "x" * 254,
]


@pytest.mark.parametrize(("value", "address"), PLAIN.items())
def test_a_plain_from_is_certain(value: str, address: str) -> None:
    sender, certain = addresses.author([value])
    assert (sender and sender.address, certain) == (address, True)


@pytest.mark.parametrize(("value", "address"), DOUBTFUL.items())
def test_a_mended_from_is_read_but_never_certain(value: str, address: str) -> None:
    sender, certain = addresses.author([value])
    assert (sender and sender.address, certain) == (address, False)


@pytest.mark.parametrize("value", NOBODY)
def test_what_is_not_one_address_is_nobody(value: str) -> None:
    assert addresses.author([value]) == (None, False)


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_domains_are_never_mapped_onto_ascii_names(text: str) -> None:
    assert addresses.usable(text) is None


def test_two_from_fields_name_nobody_unless_only_one_of_them_is_usable() -> None:
    assert addresses.author(["a@b", "c@d"])[0] is None
    sender, certain = addresses.author(["[??????]", "c@d"])
    assert (sender and sender.address, certain) == ("c@d", False)


def test_the_display_name_is_decoded_after_splitting_and_holds_no_line_end() -> None:
    sender, _ = addresses.author(["=?utf-8?q?J=0D=0ABcc=3A_x=40y?= =?utf-8?q?_Bon?= <a@b>"])
    assert sender is not None
    assert sender.name == "J Bcc: x@y Bon"


def test_groups_and_empty_entries_give_their_addresses() -> None:
    found = addresses.readable(['"A": "x" <a@b>; B: c@d, =?utf-8?q?z?= <e@f>;', ", g@h,,", ""])
    assert [one.address for one in found] == ["a@b", "c@d", "e@f", "g@h"]


@pytest.mark.parametrize(
    "hostile",
    [
        "(" * 16_000,
        '"' * 16_000,
        '"\\' * 8_000,
        "<" * 16_000,
        "=?a?q?" * 2_700,
        ",a@b" * 4_000,
        ":" * 16_000,
        '"a\\"' * 4_000,
    ],
)
def test_hostile_fields_cost_no_time(hostile: str) -> None:
    start = time.perf_counter()
    addresses.author([hostile])
    assert time.perf_counter() - start < 0.5
