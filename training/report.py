"""`python -m training.report`: renews docs/judging.md and its picture, by weights that did not see what they score."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from classifiers.ask import read_ask
from classifiers.judging import judge
from classifiers.table import shipped
from training.held_labels import unseen
from training.holding_out import by_family, by_question, held_out
from training.measuring import area, calls_for, error, gains, interval, mean_gain, saved, wilson
from training.own_labels import SEEDS, measured, summary
from training.rows import Everyday, Row, everyday, outcomes

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- eval: begin -->", "<!-- eval: end -->"


def main() -> None:
    """Renew the tables and the picture."""
    rows = outcomes()
    lines: list[str] = []
    curves: dict[str, Any] = {}
    for title, folds in (("Known kinds of task", by_question(rows)), ("New families", by_family(rows))):
        scores = _scores(rows, held_out(rows, folds))
        lines += _section(title, rows, scores)
        curves[title] = scores
    lines += _own(rows)
    for words, is_late in (("the third kept from training", False), ("written when the judge was done", True)):
        lines += _ordinary(words, [each for each in everyday() if each.is_kept and each.is_late == is_late])
    lines += _languages([each for each in everyday() if each.is_kept])
    lines += _speed()
    page = DOCS / "judging.md"
    text = page.read_text("utf-8")
    page.write_text(f"{text.split(BEGIN)[0]}{BEGIN}\n\n" + "\n".join(lines) + f"\n{END}{text.split(END)[1]}", "utf-8")
    _draw(rows, curves)


def _scores(rows: list[Row], heads: Mapping[str, Any]) -> Any:
    """Return the score that each prompt would get from weights whose heads have not seen it."""
    each = ({name: float(values[at]) for name, values in heads.items()} for at in range(len(rows)))
    return np.array([unseen(shipped(), row.text, found).score for row, found in zip(rows, each, strict=True)])


def _section(title: str, rows: list[Row], scores: Any) -> Iterator[str]:
    yield f"### {title}\n"
    yield "| source | by | prompts | AUC | APGR | CPT50 | CPT80 | saved at 95 % | at 99 % | ECE |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    areas: list[float] = []
    means: list[float] = []
    for source in sorted({row.source for row in rows}):
        at = [place for place, row in enumerate(rows) if row.source == source]
        cheap, strong = np.array([rows[p].cheap for p in at]), np.array([rows[p].strong for p in at])
        needed = np.array([rows[p].needs_strong for p in at])
        luck = np.random.default_rng(1)
        for name, values in (
            ("judge", scores[at]),
            ("random", luck.random(len(at))),
            ("length", np.array([len(rows[p].text) for p in at], float)),
            ("oracle", strong - cheap),
        ):
            yield _row(source, name, values, needed, cheap, strong)
            if name == "judge":
                areas.append(area(values, needed))
                means.append(mean_gain(values, cheap, strong))
    yield f"\nMean over sources: AUC {np.mean(areas):.3f}, APGR {np.mean(means):.3f}.\n"


def _row(source: str, name: str, values: Any, needed: Any, cheap: Any, strong: Any) -> str:
    def of(measured: Callable[[Any], float]) -> str:
        low, high = interval(measured, len(values))
        return f"{measured(np.arange(len(values))):.3f} ({low:.3f} … {high:.3f})"

    first = of(lambda at: area(values[at], needed[at]))
    second = of(lambda at: mean_gain(values[at], cheap[at], strong[at]))
    halves = [f"{calls_for(values, cheap, strong, wanted):.0%}" for wanted in (0.5, 0.8)]
    kept = [f"{saved(values, cheap, strong, wanted):.0%}" for wanted in (0.95, 0.99)]
    off = "–"
    if name == "judge":
        off = f"{error(values, needed):.3f}"
    return f"| {source} | {name} | {len(values):,} | {first} | {second} | {' | '.join((*halves, *kept, off))} |"


def _own(rows: list[Row]) -> Iterator[str]:
    """Say what own labels are worth: families that the weights have not seen, some of their prompts labelled."""
    yield "### New families, after labels of one's own\n"
    yield "| labels | families | prompts | AUC before | AUC after |"
    yield "|---|---|---|---|---|"
    for labels in (100, 300):
        found = measured(rows, labels)
        prompts = sum(len(each.needed) for each in found) // SEEDS
        before, after = (f"{mean} ({interval})" for _, mean, interval in summary(found))
        yield f"| {labels} | {len(found) // SEEDS} | {prompts:,} | {before} | {after} |"
    yield ""


def _ordinary(words: str, kept: list[Everyday]) -> Iterator[str]:
    tiers = [_tier(each) for each in kept]
    exact = np.array([tier == each.tiers[0] for tier, each in zip(tiers, kept, strict=True)])
    fine = np.array([tier in each.tiers for tier, each in zip(tiers, kept, strict=True)])
    hard = [tier for tier, each in zip(tiers, kept, strict=True) if each.tiers[0] == "complex"]
    yield f"### Everyday prompts, {words}\n"
    for said, found in (("exact tier", exact), ("a tier that a person would accept", fine)):
        low, high = interval(lambda at, found=found: found[at].mean(), len(found))
        yield f"- {said}: {found.mean():.1%} ({low:.1%} … {high:.1%}) of {len(found)}"
    low, high = wilson(hard.count("simple"), len(hard))
    yield f"- complex judged simple: {hard.count('simple')} of {len(hard)} ({low:.1%} … {high:.1%})\n"


def _languages(kept: list[Everyday]) -> Iterator[str]:
    yield "### Everyday prompts by language, both sets\n"
    yield "| language | prompts | acceptable tier | complex judged simple |"
    yield "|---|---|---|---|"
    for lang in sorted({each.lang for each in kept}, key=lambda lang: (-sum(each.lang == lang for each in kept), lang)):
        own = [(each, _tier(each)) for each in kept if each.lang == lang]
        fine = sum(tier in each.tiers for each, tier in own)
        low, high = wilson(fine, len(own))
        hard = [tier for each, tier in own if each.tiers[0] == "complex"]
        share = f"{fine / len(own):.0%} ({low:.0%} … {high:.0%})"
        yield f"| {lang} | {len(own)} | {share} | {hard.count('simple')} of {len(hard)} |"
    yield ""


def _tier(each: Everyday) -> str:
    return judge(read_ask([{"role": "user", "content": each.text}])).tier


def _speed() -> Iterator[str]:
    yield "### Time\n"
    prose = " ".join(row.text for row in outcomes()[::40])
    for chars in (60, 400, 2_000, 4_000):
        asks = [[{"role": "user", "content": prose[at : at + chars]}] for at in range(0, 50_000, 500)]
        best = min(_seconds(asks) for _ in range(60))
        yield f"- {chars:,} characters: {best * 1e6:.0f} µs a prompt, reading the request included"


def _seconds(asks: list[Any]) -> float:
    begun = time.process_time()
    for messages in asks:
        judge(read_ask(messages))
    return (time.process_time() - begun) / len(asks)


def _draw(rows: list[Row], curves: dict[str, Any]) -> None:
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "judging"
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(curves), figsize=(11, 4.2), sharey=True)
    for panel, (title, scores) in zip(panels, curves.items(), strict=True):
        for source in sorted({row.source for row in rows}):
            at = [place for place, row in enumerate(rows) if row.source == source]
            cheap, strong = np.array([rows[p].cheap for p in at]), np.array([rows[p].strong for p in at])
            found = gains(scores[at], cheap, strong)
            panel.plot(np.linspace(0, 1, 201), found[np.linspace(0, len(at), 201).astype(int)], label=source)
        panel.plot([0, 1], [0, 1], "k:", label="random")
        panel.set(title=title, xlabel="share of calls to the strong model", ylim=(0, 1.3))
    panels[0].set_ylabel("share of the gap recovered")
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(DOCS / "judging.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
