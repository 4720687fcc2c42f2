"""The rules: read by Prometheus's own tool, tested by it, and about metrics that exist."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.grafana.expressions import FOLDER, RULES, exported, named, recorded, rules
from tests.grafana.programs import program

CASES = [Path(__file__).with_name(name) for name in ("rules_test.yml", "rules_days_test.yml")]


def _promtool(*words: str | Path) -> None:
    tool = program("promtool", "prometheus")
    done = subprocess.run([tool, *words], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_its_configuration_and_the_rules():
    """The file that compose.yaml mounts is good, and so are the rules it names."""
    _promtool("check", "config", FOLDER / "prometheus.yml")
    _promtool("check", "rules", RULES)


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_each_alert_fires_and_stays_silent(cases: Path):
    """The cases are in rules_test.yml, and those that take days in rules_days_test.yml: minutes of a busy machine."""
    _promtool("test", "rules", cases)


def test_every_alert_has_a_case():
    """No alert is untested: each is expected to fire in one case and to be silent in another."""
    cases = [
        case
        for path in CASES
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]
        for case in test.get("alert_rule_test", [])
    ]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}

    assert {rule["alert"] for rule in rules() if "alert" in rule} == fired == silent


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_exists(rule):
    """A rule names metrics that /metrics has and series that a rule before it records."""
    names = {each["record"] for each in rules() if "record" in each}

    assert named(rule["expr"]) <= exported()
    assert recorded(rule["expr"]) <= names


@pytest.mark.parametrize("rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule):
    """It has a severity, what is wrong, and the next step."""
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")


def test_the_page_lists_every_alert():
    """In the order of the rules, one line each."""
    page = (FOLDER.parent / "docs" / "deploying.md").read_text("utf-8")

    assert re.findall(r"^\| (Penstock\w+) \|", page, re.MULTILINE) == [
        rule["alert"] for rule in rules() if "alert" in rule
    ]


def test_rules_are_in_one_file():
    """No other YAML of the folder has groups of rules."""
    others = [path for path in FOLDER.rglob("*.y*ml") if path != RULES]

    assert others
    assert [path.name for path in others if "groups" in yaml.safe_load(path.read_text("utf-8"))] == []
