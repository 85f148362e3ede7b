"""The picture in docs/architecture.md holds, and each of its rules turns red when it is broken (issue 2's bar)."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT = Path(sys.executable).with_name("lint-imports")

# (contract, file that breaks it, the line that does)
VIOLATIONS = [
    ("Rooms lie above each other", "domain/ticket.py", "from triaged.mail import threads"),
    ("Rooms lie above each other", "utils.py", '"""A stray module in no room."""'),
    ("Workflows do not import each other", "workflows/upkeep.py", "from triaged.workflows import decide"),
    ("Adapters do not import each other", "adapters/runlock.py", "from triaged.adapters import smtp"),
    ("The domain knows no library", "domain/ticket.py", "import zstandard"),
    ("imapclient has one door", "workflows/upkeep.py", "import imapclient"),
    ("aiosmtplib has one door", "workflows/upkeep.py", "import aiosmtplib"),
    ("Templates have one door", "desks/answers.py", "import jinja2"),
    ("selectolax has one door", "mail/quotes.py", "import selectolax"),
    ("The database has one door", "workflows/upkeep.py", "import sqlalchemy"),
    ("Starlette and uvicorn have one door", "workflows/upkeep.py", "import starlette"),
    ("APScheduler, structlog, rich and click have one door each", "workflows/upkeep.py", "import rich"),
]


def lint(source: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(source)}
    return subprocess.run(
        [LINT, "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=source,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "daemon/triaged", tmp_path / "triaged", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(("contract", "file", "line"), VIOLATIONS)
def test_a_planted_violation_turns_its_contract_red(copy: Path, contract: str, file: str, line: str) -> None:
    target = copy / "triaged" / file
    before = target.read_text() if target.exists() else ""
    target.write_text(f"{before}\n{line}\n")
    result = lint(copy)
    assert result.returncode == 1, result.stdout
    assert (
        re.search(re.escape(contract) + r" .*BROKEN", result.stdout)
        or "no layer" in result.stdout.lower()
        or ("utils" in result.stdout)
    ), result.stdout


def test_the_house_as_it_is_keeps_every_contract() -> None:
    result = lint(ROOT / "daemon")
    assert result.returncode == 0, result.stdout
    named = re.findall(r'^name = "(.*)"$', (ROOT / "pyproject.toml").read_text().split("[tool.importlinter]")[1], re.M)
    assert all(any(contract == name for contract, _file, _line in VIOLATIONS) for name in named)
