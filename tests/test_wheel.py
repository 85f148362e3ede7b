"""The wheel carries everything: templates, migrations, configuration; the demo runs from it alone (issue 2, item 1)."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` of the wheel puts into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True, timeout=120,
        capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_every_template_migration_and_configuration_file_is_in_the_wheel(unpacked: Path) -> None:
    shipped = unpacked / "triaged/_shipped"
    for kind in ("templates", "migrations", "config", "systemd"):
        ours = {p.relative_to(ROOT / kind) for p in (ROOT / kind).rglob("*") if p.is_file() and p.suffix != ".pyc"}
        assert ours
        assert ours <= {p.relative_to(shipped / kind) for p in (shipped / kind).rglob("*") if p.is_file()}


def test_the_demo_runs_from_the_wheel_and_ends_by_itself(unpacked: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(unpacked), "TMPDIR": str(tmp_path), "PYTHONSAFEPATH": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "triaged", "demo"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for word in ("EU-000001", "large_account", "conflicting_references", "priority_granted", "unreadable", "Try next"):
        assert word in result.stdout
    where = subprocess.run(
        [sys.executable, "-c", "import triaged; print(triaged.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert where.stdout.startswith(str(unpacked))
