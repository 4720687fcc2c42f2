"""The weights: plain numbers that say which they are, quick to read, and asked by one sum."""

import hashlib
import json
import subprocess
import sys

import pytest

from classifiers import table
from classifiers.reading import keys, read_text, stems
from classifiers.table import FIELDS, HEADS, NAMED, ONE, TASKS_AT, UNIT, WEIGHTS, add_up, load, shipped


def test_the_version_is_the_hash_of_the_weights():
    """Two files of one version are the same; a weight that is edited by hand gives itself away."""
    found = json.loads(WEIGHTS.read_bytes())
    version = found.pop("version")

    assert version == f"table-{hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:8]}"
    assert shipped().version == version


@pytest.mark.parametrize(
    "text",
    [
        "Please write a short poem about 12 geese.",
        "请总结以下会议记录",
        "Übersetze: „Guten Tag“",
        "no such words zzzxq",
        "",
    ],
)
def test_the_packed_sum_is_the_sum_of_the_rows(text):
    """What one addition of large integers says is what adding up the file's rows one by one says."""
    found = json.loads(WEIGHTS.read_bytes())
    reading = read_text(text)
    rows = {row[0]: row[1:] for row in found["words"]} | {tuple(row[0].split("\t")): row[1:] for row in found["pairs"]}
    stem_rows = {row[0]: row[1:] for row in found["stems"]}
    terms = [rows[key] for key in keys(reading) if key in rows]
    square = sum(row[0] for row in terms)
    rest = [found["start"], *(stem_rows[stem] for stem in set(stems(reading.words)) if stem in stem_rows)]
    rest += [found["measures"][name][bucket] for name, bucket in zip(found["measures"], reading.measures, strict=True)]

    fields = add_up(shipped(), reading).fields

    for at in range(1, TASKS_AT + len(NAMED)):
        share = (UNIT / square) ** 0.5 if square else 0
        expected = sum(row[at] for row in terms if len(row) > at) * share + sum(
            row[at] for row in rest if len(row) > at
        )
        assert fields[at] / ONE == pytest.approx(expected / UNIT, rel=0.02, abs=0.05)


def test_there_are_two_heads_for_each_pair_of_tiers():
    """Cheap against mid, and mid against strong."""
    assert FIELDS[1:TASKS_AT] == HEADS == ("cheap_enough", "mid_better", "mid_enough", "strong_better")


def test_a_file_of_something_else_is_refused(tmp_path):
    """What has other fields is no file of weights."""
    (tmp_path / "other.json").write_text('{"fields": ["one"]}')

    with pytest.raises(ValueError, match="no weights"):
        load(tmp_path / "other.json")


def test_judging_loads_nothing_heavy():
    """At run time the judge is the standard library and a file: neither the training nor what it needs is imported."""
    program = (
        "import sys; from classifiers import judge, read_ask; judge(read_ask([{'role': 'user', 'content': 'hi'}]));"
        "print(*(name for name in sys.modules if name.split('.')[0] in {'numpy', 'orjson'} or 'training' in name))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""
    assert table.shipped() is table.shipped()
