"""The machine around the daemon: the unit's exposure, and the libraries that are installed."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THRESHOLD = 20  # of 100, as systemd counts: 2.0 of 10
LOCKS = ("run", "demo", "dev")
# Below these each library has a fault that a mail could use (docs/security.md).
FLOORS = {"aiosmtplib": (5, 1, 3), "imapclient": (4, 1, 0), "jinja2": (3, 1, 6)}


@pytest.mark.parametrize("unit", ["triaged.service", "triaged-web.service"])
def test_a_unit_is_exposed_to_no_more_than_it_needs(unit: str) -> None:
    analyse = shutil.which("systemd-analyze")
    if analyse is None:
        pytest.skip("no systemd-analyze here: `apt install systemd`, or read the unit by eye")
    command = [
        analyse,
        "security",
        "--offline=yes",
        f"--threshold={THRESHOLD}",
        "--no-pager",
        str(ROOT / "systemd" / unit),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "SYSTEMD_COLORS": "0"})
    assert done.returncode == 0, done.stdout[-600:] + done.stderr
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None
    assert float(level[1]) <= THRESHOLD / 10


def locked(name: str) -> dict[str, str]:
    text = (ROOT / ".lock" / f"{name}.txt").read_text()
    return {m[1].lower().replace("_", "-"): m[2] for m in re.finditer(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", text, re.M)}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def declared() -> list[tuple[str, str]]:
    """What pyproject.toml asks for: name and lowest version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    found = [re.fullmatch(r"([a-z0-9-]+)(?:\[\w+\])?[>=]=([\d.]+)(?:,<[\d.]+)?", one) for one in asked]
    assert all(found), asked
    return [(match[1], match[2]) for match in found if match]


def test_what_is_locked_is_what_is_declared() -> None:
    for name in LOCKS[:1]:
        versions = locked(name)
        low = {asked: lowest for asked, lowest in declared() if numbers(versions.get(asked, "0")) < numbers(lowest)}
        assert low == {}


@pytest.mark.parametrize("library", FLOORS)
def test_no_library_with_a_known_hole_can_be_installed(library: str) -> None:
    assert numbers(dict(declared())[library] + ".0.0") >= FLOORS[library]
    for name in LOCKS:
        assert numbers(locked(name)[library]) >= FLOORS[library]


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_library_is_pinned_by_hash_and_names_no_place(name: str) -> None:
    text = (ROOT / ".lock" / f"{name}.txt").read_text()
    entries = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if not entry.startswith("#")]
    assert len(entries) > 20
    assert [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_the_environment_is_made_with_hashes_required() -> None:
    assert "--require-hashes" in (ROOT / ".ci" / "venv").read_text()
