"""compare.py --brief, --row, --metric and --effects: one table, one sentence, another metric, a figure."""

from pathlib import Path

import pytest
from matplotlib.axes import Axes
from PIL import Image

from scripts import compare
from tests.experiment.reports.finished_runs import write_run
from wconv.experiment.reports.brief import brief, sentences
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.effect_plot import draw_effects
from wconv.experiment.reports.effects import find_effects
from wconv.experiment.reports.tables import write_markdown

STUDY = Path(__file__).resolve().parents[3] / "results" / "study" / "runs"


@pytest.fixture
def effects_of(make_row):
    def make(*rows, **options):
        return find_effects(Comparison([run for row in rows for run in row]), **options)

    return make


def rows_of(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_a_row_says_what_it_came_to_and_by_how_much_it_differs(effects_of, make_row) -> None:
    effects = effects_of(make_row("standard", [0.40, 0.41, 0.39]), make_row("weighted", [0.42, 0.431, 0.409]))
    assert rows_of(write_markdown(*brief(effects))) == [
        ["standard", "3", "40.00 ± 1.00", "", "", "reference"],
        ["weighted", "3", "42.00 ± 1.10", "+2.00 (+1.75 to +2.25)", "<0.001", "better"],
    ]


def test_each_verdict_has_its_words(effects_of, make_row) -> None:
    reference = [0.40, 0.41, 0.39, 0.40]
    effects = effects_of(
        make_row("standard", reference),
        make_row("weighted", [value - 0.02 - 0.0001 * seed for seed, value in enumerate(reference)]),
        make_row("scaled_init", [value + 0.0001 * seed for seed, value in enumerate(reference)]),
        make_row("step", [value + 0.01 * seed for seed, value in enumerate(reference)]),
        make_row("decay", reference),
        make_row("scale", [0.5]),
    )
    verdicts = {cells[0]: cells[-1] for cells in rows_of(write_markdown(*brief(effects)))}
    assert verdicts == {
        "standard": "reference",
        "weighted": "worse",
        "scaled_init": "no difference larger than 0.5 points",
        "step": "undecided (could show 2.7)",
        "decay": "equal with each seed",
        "scale": "undecided",
    }


def test_a_gain_that_is_shown_to_be_small_is_said_to_be(effects_of, make_row) -> None:
    reference = [0.40, 0.41, 0.39, 0.40]
    gained = [value + 0.002 + 0.0001 * seed for seed, value in enumerate(reference)]
    effects = effects_of(make_row("standard", reference), make_row("weighted", gained))
    assert rows_of(write_markdown(*brief(effects)))[1][-1] == "better, but by less than 0.5 points"


def test_a_seed_without_a_partner_is_in_the_mean_and_not_in_the_difference(effects_of, make_row) -> None:
    effects = effects_of(make_row("standard", [0.40, 0.41]), make_row("weighted", [0.42, 0.431, 0.5]))
    (_, weighted) = rows_of(write_markdown(*brief(effects)))
    assert weighted[1] == "3"
    assert weighted[-1].endswith("; over 2 seeds that both have")


def test_diverged_runs_are_counted(effects_of, make_row) -> None:
    effects = effects_of(make_row("standard", [0.40, 0.41, 0.39]), make_row("weighted", [0.42, float("nan"), 0.409]))
    assert [cells[1:3] for cells in rows_of(write_markdown(*brief(effects)))] == [["3", "0"], ["2", "1"]]


def test_settings_have_a_column_of_their_own(effects_of, make_row) -> None:
    rows = [make_row(arm, [0.4, 0.41], lr=lr) for arm in ("standard", "weighted") for lr in (0.1, 0.2)]
    assert {tuple(cells[:2]) for cells in rows_of(write_markdown(*brief(effects_of(*rows))))} == {
        ("lr 0.1", "standard"),
        ("lr 0.1", "weighted"),
        ("lr 0.2", "standard"),
        ("lr 0.2", "weighted"),
    }


def test_the_sentence_of_a_row_is_that_of_the_comparison_without_its_name(effects_of, make_row) -> None:
    effects = effects_of(*(make_row(arm, [0.40, 0.41, 0.39]) for arm in ("standard", "weighted", "decay")))
    assert sentences(effects, ["weighted"]) == "no difference: equal with each of 3 seeds"
    assert sentences(effects, ["decay", "weighted"]).splitlines() == [
        "- weighted: no difference: equal with each of 3 seeds",
        "- decay: no difference: equal with each of 3 seeds",
    ]
    with pytest.raises(ValueError, match="--row weightd: there is no such row; there are weighted, decay"):
        sentences(effects, ["weightd"])


@pytest.fixture
def denoisers(tmp_path: Path) -> Path:
    for conv, gain in (("standard", 0.0), ("weighted", 0.3)):
        for seed in range(3):
            psnr = 28 + 0.01 * seed + gain * (1 + 0.01 * seed)
            metrics = {"test/psnr": 25.0, "test/bsd68/psnr": psnr, "test/set12/psnr": 27.0, "test/noisy_psnr": 20.0}
            folder = tmp_path / f"{conv}{seed}"
            write_run(folder, task="denoising", model="dncnn", conv=conv, seed=seed, results={"metrics": metrics})
    return tmp_path


def test_another_metric_is_compared(denoisers: Path, capsys) -> None:
    assert compare.main([str(denoisers), "--metric", "test/bsd68/psnr", "--brief"]) == 0
    table = capsys.readouterr().out
    assert table.splitlines()[0].count("PSNR (dB)") == 2, "the set that is compared, and the other one beside it"
    assert rows_of(table)[1][2:5] == ["28.31 ± 0.01", "27.00 ± 0.00", "+0.30 (+0.30 to +0.31)"]
    assert compare.main([str(denoisers), "--metric", "test/bsd68/psnr", "--row", "weighted"]) == 0
    assert capsys.readouterr().out == "0.30 dB better (95 % CI 0.30 to 0.31, 3 seeds)\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--metric", "test/bsd86/psnr"],
            "--metric test/bsd86/psnr: no run has it; there are test/noisy_psnr, ",
        ),
        (["--parts"], "--parts: no setting has runs of all eight combinations"),
        (["--where", "conv=weighted", "--brief"], "--brief: nothing is compared"),
        (["--where", "conv=weighted", "--metric", "test/psnr"], "--metric: no two rows are compared"),
        (["--where", "conv=weighted", "--effects", "effects.png"], "--effects: nothing is compared"),
    ],
)
def test_what_is_not_there_is_refused(denoisers: Path, capsys, words, message) -> None:
    assert compare.main([str(denoisers), *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"compare: {message}")
    assert said.count("\n") == 1


def test_differences_are_drawn_with_a_line_a_row(denoisers: Path, tmp_path: Path, capsys) -> None:
    few, more = tmp_path / "few.png", tmp_path / "more.png"
    assert compare.main([str(denoisers), "--brief", "--metric", "test/bsd68/psnr", "--effects", str(few)]) == 0
    for seed in range(3):
        metrics = {"test/bsd68/psnr": 28.0 + 0.001 * seed}
        folder = tmp_path / f"decay{seed}"
        write_run(folder, task="denoising", model="dncnn", conv="decay", seed=seed, results={"metrics": metrics})
    assert compare.main([str(denoisers), "--brief", "--metric", "test/bsd68/psnr", "--effects", str(more)]) == 0
    heights = [Image.open(path).height for path in (few, more)]
    assert heights[0] < heights[1]


ONE_ARM = ["--where", "conv=standard", "--where", "conv=weighted"]


@pytest.mark.parametrize("words", [[], ONE_ARM], ids=["settings as headings", "settings as labels"])
def test_nothing_of_a_figure_with_long_settings_is_cut_off(tmp_path: Path, words) -> None:
    path = tmp_path / "effects.png"
    kernels = [str(STUDY / "classification"), "--where", "datamodule.train_subset=5000"]
    assert compare.main([*kernels, *words, "--brief", "--effects", str(path)]) == 0
    picture = Image.open(path).convert("L")
    width, height = picture.size
    edges = [(0, 0, 2, height), (width - 2, 0, width, height), (0, 0, width, 2), (0, height - 2, width, height)]
    assert [picture.crop(edge).getextrema() for edge in edges] == [(255, 255)] * 4


def test_settings_with_a_single_arm_are_the_labels_of_its_lines(effects_of, make_row, tmp_path, monkeypatch) -> None:
    drawn: list[list[str]] = []
    monkeypatch.setattr(Axes, "set_yticks", lambda axes, places, labels: drawn.append(labels))
    for arms in (["standard", "weighted"], ["standard", "weighted", "decay"]):
        rows = [make_row(arm, [0.4, 0.41], lr=lr) for arm in arms for lr in (0.1, 0.2)]
        draw_effects(effects_of(*rows), tmp_path / "effects.png")
    assert drawn == [["lr 0.1", "lr 0.2"], ["", "weighted", "decay", "", "weighted", "decay"]]


def test_the_rows_of_a_setting_are_drawn_together(effects_of, make_row, tmp_path, monkeypatch) -> None:
    drawn: list[list[str]] = []
    monkeypatch.setattr(Axes, "set_yticks", lambda axes, places, labels: drawn.append(labels))
    effects = effects_of(
        *(make_row(arm, [0.4, 0.41], lr=lr) for arm in ("standard", "weighted", "decay") for lr in (0.1, 0.2))
    )
    effects.rows.sort(key=lambda effect: effect.name.arm)
    draw_effects(effects, tmp_path / "effects.png")
    assert drawn == [["", "decay", "weighted", "", "decay", "weighted"]]


def test_the_short_table_is_one_for_a_paper_too(denoisers: Path, tmp_path: Path) -> None:
    tables = []
    for words in ([], ["--brief"]):
        path = tmp_path / "table.tex"
        assert compare.main([str(denoisers), *words, "--latex", str(path)]) == 0
        tables.append(path.read_text())
    assert [text.count(r"\toprule") for text in tables] == [2, 1]
    assert "verdict" in tables[1]
