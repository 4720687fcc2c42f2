"""The wheel: everything that runs is in it, nothing else, and the command works from it in an empty folder."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

import proxy
from tests.e2e.polling import until
from tests.e2e.server import clean_environ, free_port, get

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PACKAGES = ("proxy", "classifiers", "margin", "simulator")
LEFT_OUT = "classifiers/data/"
"""What the judge's weights are made of: the wheel has the weights."""
PACKAGED = {"configs": "proxy/configs"}
"""Folders of the repository that lie elsewhere in the wheel."""


def _uv(*words: str | Path) -> None:
    """Run uv from its cache, which `make setup` fills; where nothing may be skipped, it may fetch what is missing."""
    done = _ran_uv(*words, "--offline")
    if "network was disabled" in done.stderr:
        if os.environ.get("PENSTOCK_NO_SKIP") != "1":
            pytest.skip(f"uv's cache lacks what builds the wheel: {done.stderr.strip()}")
        done = _ran_uv(*words)
    assert done.returncode == 0, done.stderr


def _ran_uv(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "uv", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this tree, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    _uv("build", "--wheel", "--python", sys.executable, "--out-dir", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of an environment with the wheel; what it depends on is borrowed from ours."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    _uv("venv", "--python", sys.executable, venv)
    _uv("pip", "install", "--no-deps", "--python", venv / "bin" / "python", wheel)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return venv / "bin"


def _shipped() -> Iterator[str]:
    """Yield what must be in the wheel: each file of the packages and of what is packaged with them."""
    for folder, place in {**dict(zip(PACKAGES, PACKAGES, strict=True)), **PACKAGED}.items():
        for path in (ROOT / folder).rglob("*"):
            left_out = str(path.relative_to(ROOT)).startswith(LEFT_OUT) or "__pycache__" in path.parts
            if path.is_file() and not left_out:
                yield f"{place}/{path.relative_to(ROOT / folder)}"


def test_everything_that_runs_is_in_it(wheel):
    """Its files are those of the packages and the shipped configurations, and no others but its own description."""
    names = zipfile.ZipFile(wheel).namelist()

    assert {name for name in names if ".dist-info/" not in name} == set(_shipped())
    assert {
        "classifiers/weights.json",
        "margin/ledger/schema.sql",
        "margin/costbooks/shipped.json",
        "proxy/configs/sandbox.yaml",
    } <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def _run(installed: Path, folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [installed / "penstock", *words],
        cwd=folder, env=clean_environ(), capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def test_the_command_comes_from_the_wheel(installed, tmp_path):
    """The environment's own code is what is imported, not this checkout."""
    command = [installed / "python", "-c", "import proxy, margin; print(proxy.__file__, margin.__file__)"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert all(path.startswith(str(installed.parent)) for path in done.stdout.split()), done.stdout


def test_help_and_version(installed, tmp_path):
    """`penstock --help` teaches, and the version is the package's."""
    told, version = _run(installed, tmp_path, "--help"), _run(installed, tmp_path, "--version")

    assert told.returncode == 0
    assert "penstock serve" in told.stdout
    assert proxy.__version__ in version.stdout


def test_check_of_a_named_file(installed, tmp_path):
    """`penstock check --config` reads a file of the checkout as the checkout does."""
    done = _run(installed, tmp_path, "check", "--config", ROOT / "configs" / "sandbox.yaml")

    assert done.returncode == 0, done.stderr
    assert "sandbox.yaml is good" in done.stdout


def test_without_a_file_the_package_s_is_used(installed, tmp_path):
    """In an empty folder the packaged configuration counts; one in configs/ goes before it."""
    packaged = _run(installed, tmp_path, "check")
    (tmp_path / "configs").mkdir()
    for name in ("penstock.yaml", "plans.yaml"):
        (tmp_path / "configs" / name).write_text((ROOT / "configs" / name).read_text("utf-8"))
    own = _run(installed, tmp_path, "check")

    assert packaged.returncode == own.returncode == 0, packaged.stderr + own.stderr
    assert re.match(r"/.*/site-packages/proxy/configs/penstock\.yaml is good", packaged.stdout.replace("\n", ""))
    assert own.stdout.startswith("configs/penstock.yaml is good")


def test_it_serves_in_an_empty_folder(installed, tmp_path):
    """Without a key and without a file, `serve --or-sandbox` answers from the packaged sandbox, and ends with 0."""
    port = free_port()
    ports = {"PORT": str(port), "METRICS_PORT": str(free_port())}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [installed / "penstock", "serve", "--or-sandbox"],
            cwd=tmp_path, env=clean_environ() | ports, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: _is_ready(port), f"{tmp_path / 'log'} ready")
        process.terminate()

        assert process.wait(10) == 0
        assert (tmp_path / "data" / "sandbox.env").exists()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _is_ready(port: int) -> bool:
    with suppress(httpx.TransportError):
        return get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    return False
