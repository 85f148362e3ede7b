"""XLSX files as lines of cells (row C1), and what a hostile one costs: nothing."""

import base64
import io
import struct
import time
import zipfile
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triaged.domain.message import House
from triaged.mail import reader, sheets

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LIMIT = 256 * 1024


def book(
    *rows: str,
    strings: Sequence[str] = (),
    formats: Sequence[str] = (),
    codes: str = "",
    more: Mapping[str, str] | None = None,
) -> bytes:
    """A workbook of one sheet with these rows, as XML."""
    styles = "".join(f'<xf numFmtId="{number}"/>' for number in formats)
    parts = {
        "_rels/.rels": relations(("a", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": workbook(SHEETS),
        "xl/_rels/workbook.xml.rels": relations(
            ("b", "worksheet", "worksheets/sheet1.xml"),
            ("c", "sharedStrings", "sharedStrings.xml"),
            ("d", "styles", "/xl/styles.xml"),
        ),
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{"".join(strings)}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts><cellStyleXfs><xf numFmtId="14"/>'
        f"</cellStyleXfs><cellXfs>{styles}</cellXfs></styleSheet>",
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(rows)}</sheetData></worksheet>',
    }
    return packed(parts | dict(more or {}))


SHEETS = '<sheets><sheet name="A" sheetId="1" r:id="b"/></sheets>'


def workbook(inner: str) -> str:
    return f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{inner}</workbook>'


def relations(*all_of_them: tuple[str, str, str]) -> str:
    inner = "".join(
        f'<Relationship Id="{i}" Type="{OFFICE}/{kind}" Target="{target}"/>' for i, kind, target in all_of_them
    )
    return f'<Relationships xmlns="{PACKAGE}">{inner}</Relationships>'


def packed(parts: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def read(*rows: str, **others: Sequence[str] | str) -> list[str]:
    found, note = sheets.rows(book(*rows, **others), LIMIT)  # type: ignore[arg-type]  # the mapping is one of the others
    assert note == ""
    return found


def test_shared_strings_and_numbers_are_cells() -> None:
    row = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>40.0</v></c><c r="D1" t="s"><v>1</v></c></row>'
    assert read(
        row, strings=["<si><t>SKU</t></si>", "<si><r><t>Acme </t></r><r><t>SA</t></r><rPh><t>x</t></rPh></si>"]
    ) == ["SKU\t40\t\tAcme SA"]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('<c r="A1"><v>40</v></c>', "40"),
        ('<c r="A1"><v>40.5</v></c>', "40.5"),
        ('<c r="A1"><v>4.500123456E9</v></c>', "4500123456"),
        ('<c r="A1"><f>20*2</f><v>40</v></c>', "40"),
        ('<c r="A1" t="str"><f>A2</f><v>PO-1</v></c>', "PO-1"),
        ('<c r="A1" t="inlineStr"><is><t> two\nlines </t></is></c>', "two lines"),
        ('<c r="A1" t="b"><v>1</v></c>', "TRUE"),
        ('<c r="A1" t="e"><v>#REF!</v></c>', ""),
        ('<c r="A1" t="d"><v>2026-06-12</v></c>', "2026-06-12"),
        ('<c r="A1" s="1"><v>46185</v></c>', "2026-06-12"),
        ('<c r="A1" s="1"><v>46185.5</v></c>', "2026-06-12 12:00"),
        ('<c r="A1" s="2"><v>46185</v></c>', "2026-06-12"),
        ('<c r="A1" s="3"><v>4711</v></c>', "0004711"),
        ('<c r="A1" s="4"><v>40</v></c>', "40"),
        ('<c r="A1" s="1"><v>99999999999</v></c>', "99999999999"),
        ('<c r="A1" s="77"><v>40</v></c>', "40"),
        ('<c r="A1"><v>NaN</v></c>', "nan"),
        ('<c r="A1"><v>forty</v></c>', "forty"),
        ("<c><v>40</v></c>", "40"),
        ('<c r="A1"/>', ""),
    ],
)
def test_a_cell_is_read_as_it_is_shown(cell: str, shown: str) -> None:
    codes = (
        '<numFmt numFmtId="164" formatCode="dd/mm/yyyy;@"/><numFmt numFmtId="165" formatCode="0000000"/>'
        '<numFmt numFmtId="166" formatCode="[Red]0 &quot;days&quot;"/>'
    )
    assert read(f'<row r="1">{cell}</row>', formats=["0", "14", "164", "165", "166"], codes=codes) == [shown]


def test_dates_count_from_1904_where_the_workbook_says_so() -> None:
    row = '<row><c s="0"><v>44723</v></c></row>'
    content = book(row, formats=["14"], more={"xl/workbook.xml": workbook(f'<workbookPr date1904="1"/>{SHEETS}')})
    assert sheets.rows(content, LIMIT) == (["2026-06-12"], "")


def test_a_gap_between_rows_is_one_empty_line() -> None:
    assert read('<row r="2"><c><v>1</v></c></row>', '<row r="900000"><c><v>2</v></c></row>') == ["1", "", "2"]


def test_hidden_rows_columns_and_sheets_are_not_read() -> None:
    sheet = (
        f'<worksheet xmlns="{MAIN}"><cols><col min="2" max="2" hidden="1"/></cols><sheetData>'
        '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>'
        '<row r="2" hidden="1"><c><v>3</v></c></row></sheetData></worksheet>'
    )
    both = '<sheets><sheet name="A" r:id="b"/><sheet name="B" state="veryHidden" r:id="z"/></sheets>'
    content = book(more={"xl/worksheets/sheet1.xml": sheet, "xl/workbook.xml": workbook(both)})
    assert sheets.rows(content, LIMIT) == (["1"], "")


# --- hostile ------------------------------------------------------------------------------------------------------


def test_a_cell_far_out_costs_nothing() -> None:
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c><c r="B1048576"><v>2</v></c></row>'
    begun = time.perf_counter()
    assert read('<row r="1"><c r="A1"><v>40</v></c></row>', far) == ["40", "", "\t2"]
    assert time.perf_counter() - begun < 1


def test_a_bomb_is_not_unpacked_beyond_the_limit() -> None:
    bomb = book(
        more={"xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">' + "<si><t>" + "a" * 300_000_000 + "</t></si></sst>"}
    )
    begun = time.perf_counter()
    found, note = sheets.rows(bomb, LIMIT)
    assert (found, "20000000 bytes" in note) == ([], True)
    assert time.perf_counter() - begun < 2


def test_a_size_that_lies_is_not_believed() -> None:
    content = bytearray(book(more={"xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{" " * 30_000_000}</sst>'}))
    real = struct.pack("<I", len(f'<sst xmlns="{MAIN}">{" " * 30_000_000}</sst>'))
    found, note = sheets.rows(bytes(content).replace(real, struct.pack("<I", 10)), LIMIT)
    assert found == []
    assert note


def test_parts_that_nobody_needs_are_never_unpacked() -> None:
    content = book("<row><c><v>1</v></c></row>", more={"xl/media/image1.png": "0" * 100_000_000})
    assert sheets.rows(content, LIMIT) == (["1"], "")


def test_more_parts_than_an_order_has_are_refused_before_they_are_listed() -> None:
    content = book(more={f"x{number}": "" for number in range(300)})
    assert sheets.rows(content, LIMIT)[1].startswith("more than 200 parts")


def test_entities_are_not_expanded() -> None:
    declared = '<!DOCTYPE a [<!ENTITY a "' + "b" * 50 + '">]>'
    content = book(more={"xl/sharedStrings.xml": f'{declared}<sst xmlns="{MAIN}"><si><t>&a;</t></si></sst>'})
    assert sheets.rows(content, LIMIT) == ([], "not a whole Excel file (ExpatError)")


def test_rows_stop_at_the_limit_and_say_so() -> None:
    content = book(*('<row><c t="inlineStr"><is><t>' + "a" * 90 + "</t></is></c></row>" for _ in range(5_000)))
    found, note = sheets.rows(content, 10_000)
    assert (90 < len(found) < 120, note) == (True, f"only the first {len(found)} rows were read")


def test_ten_thousand_rows_are_read_in_a_second_or_two() -> None:
    content = book(*("<row>" + "<c><v>40</v></c>" * 12 + "</row>" for _ in range(10_000)))
    begun = time.perf_counter()
    found, note = sheets.rows(content, 10_000_000)
    assert (len(found), note) == (10_000, "")
    assert time.perf_counter() - begun < 6


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\x03\x04" + b"\0" * 100, b"plain text", packed({}), packed({"a": "b"})]
)
def test_what_is_no_workbook_is_a_note(content: bytes) -> None:
    found, note = sheets.rows(content, LIMIT)
    assert (found, note.startswith("not a whole Excel file")) == ([], True)


def test_an_encrypted_or_old_file_says_what_to_ask_for() -> None:
    assert "ask the sender" in sheets.rows(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, LIMIT)[1]


def test_an_encrypted_part_is_a_note() -> None:
    content = bytearray(book("<row><c><v>1</v></c></row>"))
    at = 0
    while (at := content.find(b"PK\x01\x02", at)) >= 0:
        content[at + 8] |= 1
        at += 4
    assert sheets.rows(bytes(content), LIMIT)[1].startswith("not a whole Excel file")


GOOD = book(
    '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" s="0"><v>1</v></c></row>',
    strings=["<si><t>SKU</t></si>"],
    formats=["14"],
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6))
def test_damage_is_never_an_exception(changes: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    sheets.rows(bytes(content), LIMIT)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [
            "xl/workbook.xml",
            "xl/_rels/workbook.xml.rels",
            "xl/sharedStrings.xml",
            "xl/styles.xml",
            "xl/worksheets/sheet1.xml",
        ]
    ),
    st.data(),
)
def test_damaged_xml_is_never_an_exception(name: str, data: st.DataObject) -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    at = data.draw(st.integers(0, len(parts[name])))
    piece = data.draw(
        st.sampled_from(
            [
                b"",
                b"<c r='ZZZ9'>",
                b"<row r='x'>",
                b"<v>",
                b"-1",
                b'"',
                b"<sheet/>",
                b"<col min='0' max='99999999' hidden='1'/>",
                b"&#0;",
            ]
        )
    )
    parts[name] = parts[name][:at] + piece + parts[name][at + data.draw(st.integers(0, 20)) :]
    sheets.rows(packed(parts), LIMIT)


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        (SHEET, "order.xlsx"),
        (SHEET, "order"),
        ("application/octet-stream", "ORDER.XLSX"),
        ("application/zip", "order.xlsx"),
        ("application/vnd.ms-excel", "order.xlsx"),
    ],
)
def test_an_attached_workbook_is_read_by_type_or_ending(content_type: str, name: str) -> None:
    content = book('<row><c><v>40</v></c><c t="inlineStr"><is><t>licences</t></is></c></row>')
    encoded = base64.encodebytes(content).decode().replace("\n", "\r\n")
    raw = (
        "From: a@integra.example\r\nTo: select@vendor.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
        f'--b\r\nContent-Type: {content_type}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n\r\n{encoded}\r\n--b--\r\n'
    )
    message = reader.read(raw.encode(), House("support.example", frozenset()))
    assert [line.text for passage in message.attached for line in passage.lines] == ["40\tlicences"]
