"""Values put into a YAML file by a command: what people wrote around them stays as it was."""

from pathlib import Path

import pytest
import yaml

from proxy.settings.writing import put, written

VALUE = "{medium: 0.2, complex: 0.5}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1\n", f"a: 1\n\nrouting:\n  thresholds: {VALUE}\n"),
        ("a: 1", f"a: 1\n\nrouting:\n  thresholds: {VALUE}\n"),
        ("routing: # how\nb: 1\n", f"routing: # how\n  thresholds: {VALUE}\nb: 1\n"),
        ("routing: null\n", f"routing:\n  thresholds: {VALUE}\n"),
        ("routing: {}  # x\n", f"routing: {{thresholds: {VALUE}}}  # x\n"),
        ("routing: {mode: enforce}\n", f"routing: {{thresholds: {VALUE}, mode: enforce}}\n"),
        ("routing:\n    # first\n    mode: enforce  # m\n",
         f"routing:\n    # first\n    thresholds: {VALUE}\n    mode: enforce  # m\n"),
        ("routing: {thresholds: {medium: 0.1}, mode: enforce}\n", f"routing: {{thresholds: {VALUE}, mode: enforce}}\n"),
        ("routing:\n  thresholds: {medium: 0.1}  # mine\n  # more\n  mode: enforce\n",
         f"routing:\n  thresholds: {VALUE}  # mine\n  # more\n  mode: enforce\n"),
        ("routing:\n  thresholds:\n    medium: 0.1\n    complex: 0.3  # c\n  # more\n  mode: enforce\n",
         f"routing:\n  thresholds:\n    {VALUE}  # c\n  # more\n  mode: enforce\n"),
        ("key: {k: ${A_KEY}}\nrouting: {mode: enforce}\n",
         f"key: {{k: ${{A_KEY}}}}\nrouting: {{thresholds: {VALUE}, mode: enforce}}\n"),
    ],
)  # fmt: skip
def test_one_value_is_put_in_and_nothing_else_changes(before: str, after: str) -> None:
    """Absent, empty, in one line or in many; comments, order and references to the environment stay."""
    found = put(before, "routing", "thresholds", VALUE)

    assert found == after
    assert yaml.safe_load(found.replace("${A_KEY}", "x"))["routing"]["thresholds"] == {"medium": 0.2, "complex": 0.5}
    assert put(found, "routing", "thresholds", VALUE) == found


def test_a_file_changes_whole_or_not_at_all(tmp_path: Path) -> None:
    """What the check refuses is not written, and nothing is left beside it; what it accepts keeps the file's mode."""
    path = tmp_path / "penstock.yaml"
    path.write_text("routing: {}\n", "utf-8")
    path.chmod(0o640)

    with pytest.raises(ZeroDivisionError):
        written(path, {("routing", "mode"): "observe"}, lambda _: 1 // 0)
    assert path.read_text("utf-8") == "routing: {}\n"
    written(path, {("routing", "mode"): "observe"}, Path.read_text)

    assert path.read_text("utf-8") == "routing: {mode: observe}\n"
    assert [each.name for each in tmp_path.iterdir()] == ["penstock.yaml"]
    assert path.stat().st_mode & 0o777 == 0o640
