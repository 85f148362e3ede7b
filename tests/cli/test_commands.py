"""The commands as operators and scripts call them (INTERFACE §3, §4), in a process of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"


def triaged(*words: str, config: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    place = ["-c", str(config)] if config else []
    return subprocess.run(
        [sys.executable, "-m", "triaged", *place, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
    )


@pytest.fixture
def house(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        yield house


def read(house: desk.Installation, *words: str) -> Any:
    result = triaged(*words, "--json", config=house.config)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_run_once_logs_one_decision_a_mail_and_every_read_is_one_json_document(
    house: desk.Installation, pymap: imap_pymap.Pymap, tmp_path: Path
) -> None:
    pymap.deliver(house.eu, desk.mail(COMPLETE, subject="Panne"))
    pymap.deliver(house.com, desk.mail("x", number=9, subject="hi\rX-Forged: yes"))
    run = triaged("run", "--once", config=house.config)
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    lines = run.stderr.splitlines()
    assert sum(" decision=" in line for line in lines) == 2
    decided = next(line for line in lines if "decision=ticket" in line)
    assert (
        "reason=large_account ticket=EU-000001 severity=S1 account=60012345678 licences=640 via=super_admin" in decided
    )
    log_id = decided.partition(":")[0]
    assert len(log_id) == 8
    assert any(line.startswith(f"{log_id}: received mailbox=partners-eu region=eu uid=") for line in lines)
    assert any(line.startswith(f"{log_id}.1: sent to=contact@integra.example notice=ticket_opened") for line in lines)

    (ticket,) = read(house, "ticket", "list")
    assert set(ticket) >= {
        "number", "state", "region", "severity", "priority_large_user", "subject", "requester", "partner", "account",
        "service", "primary_customer_email", "opened_at", "due", "messages",
    }  # fmt: skip
    assert (ticket["account"], ticket["subject"], ticket["messages"]) == ("60012345678", "Panne", [2])
    assert ticket["opened_at"].endswith("Z")
    messages = read(house, "message", "list")
    assert set(messages[0]) >= {
        "id", "mailbox", "uidvalidity", "uid", "message_id", "sha256", "received_at", "state", "decision", "reason",
        "ticket",
    }  # fmt: skip
    shown = read(house, "message", "show", "2")
    assert shown["decision"]["account"] == {"zoid": "60012345678", "name": "Acme SA", "via": "super_admin"}
    assert {entry["state"] for entry in read(house, "queue", "list")} == {"sent"}
    (bad,) = read(house, "quarantine", "list")
    assert bad["reason"] == "unreadable"
    assert read(house, "status")["critical"] == 1
    assert read(house, "account", "lookup", "655906806")
    assert read(house, "ticket", "show", "EU-000001")["events"][0]["kind"] == "opened"

    for words in (["ticket", "list"], ["ticket", "show", "EU-000001"], ["message", "show", "1"], ["queue", "list"],
                  ["quarantine", "show", str(bad["id"])], ["status"], ["check"], ["account", "list"]):  # fmt: skip
        assert triaged(*words, config=house.config).returncode == 0, words


def test_explain_decides_as_the_daemon_would_and_stores_nothing(house: desk.Installation, tmp_path: Path) -> None:
    file = tmp_path / "mail.eml"
    file.write_bytes(desk.mail(COMPLETE, subject="Panne"))
    receipt = read(house, "explain", str(file), "--mailbox", "partners-eu")
    assert receipt["decision"] == "ticket"
    assert receipt["reason"] == "large_account"
    assert receipt["ticket"] is None
    assert [n["name"] for n in receipt["notices"]] == ["ticket_opened", "priority_alert"]
    assert house.messages() == []
    assert "large_account" in triaged("explain", str(file), config=house.config).stdout


def test_quarantine_is_released_decided_again_and_dropped(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    pymap.deliver(house.com, desk.mail("x", number=9, subject="hi\rX-Forged: yes"))
    house.once()
    assert triaged("quarantine", "release", "1", config=house.config).returncode == 0
    assert read(house, "message", "list")[0]["state"] == "received"
    house.once()
    assert read(house, "message", "list")[0]["state"] == "quarantined"
    assert triaged("quarantine", "drop", "1", "--why", "spam", config=house.config).returncode == 0
    assert read(house, "message", "list")[0]["state"] == "dropped"
    again = triaged("quarantine", "drop", "1", "--why", "spam", config=house.config)
    assert (again.returncode, "not in quarantine" in again.stderr) == (1, True)


def test_a_second_run_on_the_same_sqlite_database_is_refused(house: desk.Installation) -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "triaged", "-c", str(house.config), "run"], stderr=subprocess.PIPE, text=True
    )
    assert first.stderr is not None
    try:
        while "started" not in (line := first.stderr.readline()):
            assert line, "the daemon ended before it started"
        second = triaged("run", "--once", config=house.config)
        assert (second.returncode, "another `triaged run`" in second.stderr) == (75, True)
        assert triaged("ticket", "list", config=house.config).returncode == 0
    finally:
        first.terminate()
        _, rest = first.communicate(timeout=45)
    assert first.returncode == 0, rest
    assert "stopped" in rest


def test_a_missing_schema_names_the_command_that_makes_it(house: desk.Installation, tmp_path: Path) -> None:
    other = triaged("run", "--once", config=house.config, TRIAGED_DATABASE__URL=f"sqlite:///{tmp_path}/new.db")
    assert (other.returncode, "triaged db upgrade" in other.stderr) == (1, True)


def test_a_wrong_configuration_exits_3_with_every_error(tmp_path: Path) -> None:
    config = tmp_path / "triaged.toml"
    config.write_text("[service]\ndomian = 'x'\n[smtp]\nport = 'many'\n")
    result = triaged("status", config=config)
    assert result.returncode == 3
    assert "domian" in result.stderr
    assert "port" in result.stderr


def test_a_dead_imap_server_is_exit_4(tmp_path: Path, pymap: imap_pymap.Pymap, house: desk.Installation) -> None:
    dead = triaged("run", "--once", config=house.config, TRIAGED_MAILBOX__0__PORT="1")
    assert dead.returncode == 4
    assert "partners-com" in dead.stderr


def test_unknown_words_are_exit_2() -> None:
    assert triaged("frobnicate").returncode == 2


def test_help_imports_none_of_the_heavy_libraries() -> None:
    code = "import sys; from triaged import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'sqlalchemy', 'rich', 'jinja2', 'pydantic', 'imapclient', 'structlog'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert result.stdout.splitlines()[-1] == "[]"


def test_templates_of_the_operator_s_own_that_do_not_render_are_named_at_the_start_and_their_mails_can_be_released(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    own = house.config.parent / "own" / "fr" / "ticket_opened"
    own.mkdir(parents=True)
    (own / "body.txt").write_text("{{ nonsense.x.y }} {% if %}")
    house.config.write_text(house.config.read_text().replace("[service]", '[service]\ntemplates = "own"', 1))
    pymap.deliver(house.eu, desk.mail(COMPLETE))
    run = triaged("run", "--once", config=house.config)
    assert run.returncode == 0
    (named,) = [line for line in run.stderr.splitlines() if line.startswith("template ")]
    assert "fr/ticket_opened/body.txt line 1" in named
    assert "`triaged quarantine release` decides them again" in named

    (own / "body.txt").unlink()
    assert triaged("quarantine", "release", "1", config=house.config).returncode == 0
    assert triaged("run", "--once", config=house.config).returncode == 0
    assert [ticket["severity"] for ticket in read(house, "ticket", "list")] == ["S1"]


def test_answers_that_a_brake_holds_are_withdrawn_by_their_address(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, *(desk.mail(f"Panne {n}", number=n, signed=False) for n in range(3)))
    assert triaged("run", "--once", config=house.config).returncode == 0
    assert [one["state"] for one in read(house, "queue", "list")].count("held") == 2
    nobody = triaged("queue", "withdraw", "--to", "nobody@x.example", config=house.config)
    assert (nobody.returncode, nobody.stdout) == (0, "nothing is held to nobody@x.example\n")
    assert triaged("queue", "withdraw", "1", "--to", "a@b.example", config=house.config).returncode == 2
    done = triaged("queue", "withdraw", "--to", "contact@integra.example", config=house.config)
    assert done.stdout.count("withdrawn") == 2, done.stderr
    assert [one["state"] for one in read(house, "queue", "list")].count("withdrawn") == 2


def test_a_mailbox_that_the_audit_could_not_look_at_is_no_difference(house: desk.Installation) -> None:
    house.config.write_text(house.config.read_text().replace(f"port = {house.com.port}", "port = 1", 1))
    assert triaged("audit", config=house.config).returncode == 4
    audited = read(house, "status")["audit"]
    assert audited["differences"] == []
    assert audited["not_looked_at"][0].startswith("not looked at: partners-com")
    assert "no differences, 1 not looked at" in triaged("status", config=house.config).stdout
