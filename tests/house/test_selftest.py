"""`triaged selftest`: fit configurations pass, unfit ones do not, and no real server hears of it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from triaged import settings
from triaged.domain.errors import PermanentError
from triaged.selftest import replica
from triaged.settings import Settings

FAR = "192.0.2.10"  # TEST-NET-1: nobody is there, and nobody must be asked


def ours(folder: Path, text: str = "") -> Path:
    """The shipped sample with hosts far away and no password file that could be read."""
    for name in ("policy.toml", "catalogue.toml", "labels.toml"):
        shutil.copy(settings.shipped("config") / name, folder / name)
    config = folder / "triaged.toml"
    sample = text or (settings.shipped("config") / "triaged.toml").read_text()
    config.write_text(sample.replace('host     = "127.0.0.1"', f'host = "{FAR}"').replace('"127.0.0.1"', f'"{FAR}"'))
    return config


def selftest(config: Path, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "triaged", "-c", str(config), "selftest", *options]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=400)


def test_a_configuration_stands_every_exercise_and_only_this_machine_is_asked(tmp_path: Path) -> None:
    config, trace = ours(tmp_path), tmp_path / "connections"
    strace = shutil.which("strace")
    assert strace, "as root, apt install strace"
    watched = [strace, "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect", "-o", str(trace)]
    command = [*watched, sys.executable, "-m", "triaged", "-c", str(config), "selftest", "--seconds", "300"]
    environment = {**os.environ, "TRIAGED_SMTP__HOST": FAR, "TRIAGED_POLICY__DEFAULT_SEVERITY": "S4"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("ok", "FAIL"))]
    assert len(lines) == 20
    assert all(line.startswith("ok") for line in lines)
    assert "one less S4" in done.stdout  # what the environment says is part of the configuration
    assert "lost 0, doubled 0, unsent 0" in " ".join(done.stdout.split())
    asked = re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', trace.read_text())
    assert {address for found in asked for address in found if address} <= {"127.0.0.1", "::1"}
    assert "127.0.0.1" in trace.read_text()
    assert not (tmp_path / "state").exists()


def test_a_template_that_cannot_be_rendered_is_found_before_any_fault_is_tried(tmp_path: Path) -> None:
    config = ours(tmp_path)
    config.write_text(config.read_text().replace('# templates = "templates"', 'templates = "templates"'))
    for locale in ("fr", "en", "de"):
        shutil.copytree(
            settings.shipped("templates") / locale / "priority_alert",
            tmp_path / "templates" / locale / "priority_alert",
        )
        (tmp_path / "templates" / locale / "priority_alert" / "body.txt").write_text("{{ mail.nonsense.x }}")
    done = selftest(config, "--json", "--seconds", "60")
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"]) == (1, False)
    assert [one["name"] for one in told["exercises"] if not one["ok"]] == ["quiet partners-com"]
    assert "no ticket" in told["exercises"][-1]["text"]


# --- the copy


@pytest.fixture
def copy(tmp_path: Path) -> Settings:
    (tmp_path / "copy").mkdir()
    written = replica.write(ours(tmp_path), tmp_path / "copy", lambda _name: 1143, 1025, "x")
    return settings.load(written, environment={})


def test_the_copy_names_this_machine_alone_and_reads_no_secret(tmp_path: Path, copy: Settings) -> None:
    replica.prove(copy, tmp_path / "copy")
    text = (tmp_path / "copy" / "triaged.toml").read_text()
    assert FAR not in text
    assert "password_file" not in text
    assert [(one.host, one.port, one.security) for one in copy.mailboxes] == [("127.0.0.1", 1143, "none")] * 2
    assert copy.database.url == f"sqlite:///{tmp_path}/copy/state/triaged.db"


def test_what_the_operator_decided_is_in_the_copy(tmp_path: Path, copy: Settings) -> None:
    own = settings.load(ours(tmp_path, _readable(tmp_path)), environment={})
    assert copy.policy.version == own.policy.version
    assert (copy.catalogue, copy.trust, copy.senders) == (own.catalogue, own.trust, own.senders)
    assert [(m.name, m.address, m.regions, m.archive) for m in copy.mailboxes] == [
        (m.name, m.address, m.regions, m.archive) for m in own.mailboxes
    ]


def _readable(folder: Path) -> str:
    """The sample with a password that is there, for reading the original itself."""
    (folder / "samples").mkdir()
    (folder / "samples" / "password").write_text("secret")
    return (settings.shipped("config") / "triaged.toml").read_text()


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('host = "127.0.0.1"', f'host = "{FAR}"', "mailbox partners-com: host"),
        ("/copy/state/triaged.db", "/triaged.db", "database: url"),
        ("/copy/state/secret.key", "/secret.key", "service: secret_file"),
    ],
)
def test_a_copy_that_names_anything_else_is_never_started(
    tmp_path: Path, copy: Settings, before: str, after: str, named: str
) -> None:
    spoilt = copy.path.read_text().replace(before, after, 1).replace('security = "none"', 'security = "tls"', 1)
    copy.path.write_text(spoilt)
    with pytest.raises(PermanentError, match=named):
        replica.prove(settings.load(copy.path, environment={}), tmp_path / "copy")


def test_any_tree_survives_being_written(tmp_path: Path) -> None:
    tree = {
        "top": 1,
        "table": {
            "text": 'a "quoted" \\ line\n\x7f\u00e9',
            "flag": True,
            "share": 0.5,
            "inner": {"a b": ["x", {"y": 2}]},
        },
        "item": [{"name": "one", "list": []}, {"name": "two", "deep": {"deeper": {"deepest": "x"}}}],
    }
    assert tomllib.loads(replica.toml(tree)) == tree
