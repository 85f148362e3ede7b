"""HTML as a reader would see it."""

import time

import pytest

from triaged.mail import text


def lines(html: str) -> list[str]:
    return [line.text for line in text.from_html(html)]


def quoted(html: str) -> list[str]:
    return [line.text for line in text.from_html(html) if line.quoted]


SHOWN = {
    "<table><tr><td><p>ZOID</p></td><td><p>76006</p></td></tr></table>": ["ZOID\t76006"],
    "<table><tr><td>ZOID</td><td>&nbsp;</td><td>76006</td></tr><tr><td>ZUID<td><td>1</table>": [
        "ZOID\t76006",
        "ZUID\t1",
    ],
    "<p>ZOID: 76006</span><span>415</span>": ["ZOID: 76006415"],
    "ZOID:&nbsp;600&#8203;12<wbr>345&shy;678": ["ZOID: 60012345678"],
    "a<br>b<div>c</div>d<p>e</p>f": ["a", "b", "c", "d", "e", "f"],
    "a<br><br><br>b": ["a", "", "b"],
    "<ul><li>one</li><li><p>two</p></li></ul>": ["- one", "- two"],
    "<dl><dt>ZOID</dt><dd>76006</dd></dl>": ["ZOID\t76006"],
    "<pre>a\n  b\nc</pre>": ["a", "b", "c"],
    "a\n  b <!-- no --> c": ["a b c"],
    "<o:p>x</o:p><![if !mso]>y<![endif]>": ["xy"],
    "<table><tr><td width=20></td><td><div>a: 1</div><div>b: 2</div></td></tr></table>": ["a: 1", "b: 2"],
    "<table><tr><td><table><tr><td>ZOID</td><td>1</td></tr></table></td><td>logo</td></tr></table>": [
        "ZOID\t1",
        "logo",
    ],
    "<table><tr><th>ZOID</th><th>Admin</th></tr><tr><td></td><td>a@b</td></tr></table>": ["ZOID\tAdmin", "\ta@b"],
    "a\0b": ["ab"],
    "": [],
    "\ud800a": ["a"],
}


@pytest.mark.parametrize(("html", "meant"), SHOWN.items())
def test_what_is_shown(html: str, meant: list[str]) -> None:
    assert lines(html) == meant


HIDDEN = [
    "<span style='display: none'>ZOID 999</span>",
    "<div hidden>ZOID 999</div>",
    "<div style='VISIBILITY:hidden'>ZOID 999</div>",
    "<p style='mso-hide:all'>ZOID 999</p>",
    "<p style='font-size:0px;line-height:0'>ZOID 999</p>",
    "<p style='font-size:1px'>ZOID 999</p>",
    "<p style='max-height:0;overflow:hidden'>ZOID 999</p>",
    "<p style='opacity:0'>ZOID 999</p>",
    "<div style='max-width:0; overflow:hidden'>ZOID 999</div>",
    "<div style='position:absolute; left:-9999px'>ZOID 999</div>",
    "<div style='text-indent: -500em'>ZOID 999</div>",
    "<div style='position:absolute;clip:rect(0, 0, 0, 0)'>ZOID 999</div>",
    "<p style='opacity:.01'>ZOID 999</p>",
    "<style>.pre{color:red;display:none}</style><p class='x pre'>ZOID 999</p>",
    "<style>p.pre, .other { max-height:0; overflow : hidden }</style><p class='x pre'>ZOID 999</p>",
    "<style>a{color:red} #Pre { display: none !important }</style><p id='Pre'>ZOID 999</p>",
    "<script>ZOID 999</script><style>ZOID 999</style><title>ZOID 999</title><template>ZOID 999</template>",
    "<!-- ZOID 999 --><!--[if mso]>ZOID 999<![endif]-->",
    "<p><s>ZOID 999</s><del>ZOID 999</del><STRIKE>ZOID <b>999</b></STRIKE></p>",
    "<p style='text-decoration: line-through'>ZOID 999</p>",
    "<p style='color:red; text-decoration-line: underline line-through red'>ZOID 999</p>",
    "<style>.gone { text-decoration : line-through }</style><p class=gone>ZOID 999</p>",
    "<svg><text>ZOID 999</text></svg><textarea>ZOID 999</textarea>",
]


@pytest.mark.parametrize("html", HIDDEN)
def test_hidden_text_is_not_read(html: str) -> None:
    assert lines(f"<p>a</p>{html}<p>b</p>") == ["a", "b"]


def test_a_frame_of_font_size_zero_hides_nothing_with_a_size_of_its_own() -> None:
    assert lines("<div style='font-size:0'>no<p style='font-size:13px'>yes</p></div>after") == ["yes", "after"]


@pytest.mark.parametrize("style", ["margin-left:-5.4pt", "opacity:.9", "left:-20px", "height:0", "clip:auto"])
def test_a_style_that_hides_nothing(style: str) -> None:
    assert lines(f"<p style='{style}'>yes</p>") == ["yes"]


def test_classes_hidden_on_some_screens_only_are_shown() -> None:
    assert lines("<style>@media (max-width:9px){.m{display:none}}</style><p class=m>yes</p>") == ["yes"]


LINKS = {
    '<a href="https://crm.zoho.eu/crm/org655906806/tab/Leads">fiche</a>': [
        "fiche (crm.zoho.eu/crm/org655906806/tab/Leads)"
    ],
    '<a href="https://crm.zoho.eu/crm/org655906806/">crm.zoho.eu/crm/org655906806/</a>': [
        "crm.zoho.eu/crm/org655906806/"
    ],
    '<a href="https://eur.safelinks.example/?url=https%3A%2F%2Fcrm.zoho.eu%2Fcrm%2Forg655906806%2F&data=05">x</a>': [
        "x (crm.zoho.eu/crm/org655906806/)"
    ],
    '<a href="mailto:it@acme.example?subject=x">Jean</a>': ["Jean <it@acme.example>"],
    '<a href="mailto:it@acme.example">it@acme.example</a>': ["it@acme.example"],
    '<a href="https://tracker.example/655906806">x</a>': ["x"],
}


@pytest.mark.parametrize(("html", "meant"), LINKS.items())
def test_ids_and_addresses_that_only_a_link_holds_are_surfaced(html: str, meant: list[str]) -> None:
    assert lines(html) == meant


QUOTES = {
    "gmail": """new<div class=gmail_quote><div class=gmail_attr>|On wrote:</div>
        <blockquote class=gmail_quote>|q</blockquote>below</div>""",
    "gmail forward": "new<div class=gmail_quote><div class=gmail_attr>|From: x</div><p>|q</p></div>",
    "apple": "new<blockquote type=cite><div>|q</div></blockquote>below",
    "thunderbird": "new<div class=moz-cite-prefix>|On wrote</div><blockquote type=cite>|q</blockquote>below",
    "outlook on the web": "new<div id=appendonsend></div><hr><div id=divRplyFwdMsg>|From: x</div><div>|q</div>",
    "outlook on the web, quoted again": "new<div id=x_divRplyFwdMsg>|From: x</div><div>|q</div>",
    "outlook": """new<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'>
        <p>|De :</p></div><p>|q</p>""",
    "zoho": "new<div class=zmail_extra><div>|---- On wrote ----</div><blockquote>|q</blockquote></div>",
    "yahoo": "new<div class='ydp1 yahoo_quoted'>|q</div>",
    "an indent": "new<blockquote style='margin:0 0 0 40px;border:none;padding:0'>also new</blockquote>",
    "nested": "new<blockquote>|a<blockquote>|b</blockquote>|c</blockquote>below",
}


@pytest.mark.parametrize("html", QUOTES.values(), ids=QUOTES.keys())
def test_containers_of_mail_clients_are_quoted_and_nothing_else(html: str) -> None:
    found = text.from_html(html)
    assert found
    assert [line.text for line in found if line.text.startswith("|") != line.quoted] == []


HOSTILE = {
    "deep": "<div>" * 180_000 + "x",
    "deep tables": "<table><tr><td>" * 60_000 + "x",
    "lists": "<ul><li>" * 100_000,
    "blockquotes": "<blockquote>x" * 70_000,
    "gmail quotes": "<div class=gmail_quote>" * 40_000 + "<blockquote>x",
    "attributes": "<p " + " ".join(f"a{n}=1" for n in range(100_000)) + ">x",
    "attributes behind a quote": '<p b=">" ' + " ".join(f'a{n}="<"' for n in range(80_000)) + ">",
    "copied formatting": "<p>" + "".join(f"<b id={n}>" for n in range(1_000)) + "</p><p>x" * 90_000,
    "links": '<a href="https://x.zoho.eu/' + "1234567/" * 40 + '">' * 20_000,
    "style sheets": "<style>" + "@media {" * 10_000 + ".a{" * 20_000 + "</style>x",
    "wide row": "<table><tr>" + "<td>a" * 100_000,
    "plain": "<p>a <b>b</b> c</p>" * 50_000,
}


@pytest.mark.parametrize("html", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_html_takes_long(html: str) -> None:
    start = time.perf_counter()
    text.from_html(html[:1_000_000])
    assert time.perf_counter() - start < 3


def test_five_hundred_levels_lose_no_text() -> None:
    assert lines("<div>" * 500 + "ZOID 1" + "</div>" * 500) == ["ZOID 1"]
