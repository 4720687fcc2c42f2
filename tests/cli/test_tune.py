"""`penstock tune`: what it solves, prints and writes."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from classifiers.cuts import Cuts
from classifiers.table import shipped
from proxy.cli import main
from proxy.settings import load
from tests.settings.writing import ENVIRON, GOOD


def tune(path: Path, *words: str) -> Result:
    """Run the command as a shell would."""
    arguments = ["tune", *words, "--config", str(path)]
    return CliRunner().invoke(main, arguments, env=dict(ENVIRON), catch_exceptions=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a comment."""
    path = tmp_path / "penstock.yaml"
    path.write_text(GOOD + "routing:\n  mode: enforce   # as always\n", "utf-8")
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A thousand questions that any model answers, and as many of which only the strong one knows the answer."""
    chance, path = random.Random(3), tmp_path / "labels.jsonl"
    rows = [
        {"score": round(chance.random() / 2 + hard / 2, 4), "task": "analysis", "tier": "complex" if hard else "simple"}
        for hard in (0, 1) * 1_000
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def test_thresholds_are_written_and_the_rest_stays(config: Path, labels: Path):
    """With --write the file holds target and thresholds, comments included, and loads with these cut points."""
    before = config.read_text("utf-8")

    found = tune(config, "--target", "quality=0.97", "--labels", str(labels), "--write", "--json")

    said = json.loads(found.stdout)
    assert (found.exit_code, said["met"], said["written"]) == (0, True, str(config))
    assert said["rows"]["tuned"]["quality_low"] >= 0.97
    assert said["rows"]["tuned"]["cost_saved"] > 0.3
    assert said["rows"]["oracle"]["quality_kept"] == 1
    assert said["rows"]["random"]["quality_kept"] < 0.9
    settings = load(config, environ=ENVIRON)
    assert settings.classifier.cuts == Cuts(said["thresholds"]["medium"], said["thresholds"]["complex"])
    added = [line for line in config.read_text("utf-8").splitlines() if line not in before.splitlines()]
    cuts = f"medium: {settings.classifier.cuts.medium:g}, complex: {settings.classifier.cuts.complex:g}"
    thresholds = f"  thresholds: {{{cuts}, classifier: {shipped().version}}}"
    assert added == ["  target: {quality: 0.97}", thresholds]
    assert tune(config, "--labels", str(labels)).exit_code == 0  # by the target that stands there now


def test_nothing_is_written_unless_asked(config: Path, labels: Path):
    """For people: a table with chance and oracle beside, where the cut points are, and that nothing was written."""
    before = config.read_bytes()

    found = tune(config, "--target", "share=0.3", "--labels", str(labels))

    assert found.exit_code == 0
    assert all(
        words in found.stdout for words in ("chance, same shares", "oracle", "2,000 labels", "Nothing was written")
    )
    assert config.read_bytes() == before


def test_too_few_labels_send_everything_up_and_exit_1(config: Path, labels: Path):
    """The check says no; what is written then is the safe side."""
    few = labels.with_name("few.jsonl")
    few.write_text("\n".join(labels.read_text("utf-8").splitlines()[:40]), "utf-8")

    found = tune(config, "--target", "quality=0.97", "--labels", str(few), "--write")

    assert found.exit_code == 1
    assert "Not met: 40 labels are too few" in found.stdout
    assert load(config, environ=ENVIRON).classifier.cuts == Cuts(0.0, 0.0)


def test_the_labels_of_the_package_serve_without_any(config: Path):
    """Out of the box, with a word that they are not one's own traffic."""
    found = tune(config, "--target", "quality=0.9")

    assert found.exit_code == 0
    assert "exams and everyday prompts, not your traffic" in found.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "state a target"),
        (("--target", "quality"), '"quality" is no target'),
        (("--target", "speed=1"), '"speed=1" is no target'),
        (("--target", "quality=2"), '"quality=2" is no target'),
        (("--target", "quality=nan"), '"quality=nan" is no target'),
        (("--target", "share=0.1", "--target", "share=0.2"), '"share=0.2" is no target'),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(config: Path, words: tuple[str, ...], said: str):
    """Exit 2, and a sentence."""
    found = tune(config, *words)

    assert found.exit_code == 2
    assert said in found.stderr


def test_a_file_of_something_else_is_a_usage_error(config: Path, tmp_path: Path):
    """Labels that are none are named by their line."""
    bad = tmp_path / "bad.jsonl"
    bad.write_text("\n{}\n", "utf-8")

    found = tune(config, "--target", "quality=0.9", "--labels", str(bad))

    assert found.exit_code == 2
    assert f"{bad}: line 2 needs" in found.stderr
