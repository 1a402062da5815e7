"""The page as a file: what stands in it, in which order, and what a text of a run can do to it."""

import json
import re
import warnings
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from scripts import report
from tests.experiment.reports.finished_runs import write_run
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.effects import Effects
from wconv.experiment.reports.pairing import choose_reference
from wconv.experiment.reports.tables import results
from wconv.experiment.runs.saved_runs import find_runs

MakePage = Callable[..., Path]
VOID = {"meta", "link", "input", "img", "br", "hr"}
SCRIPT = "</script><script>alert(1)</script><!--"
HOSTILE = f"{SCRIPT}\"'><img src=x onerror=alert(1)>\u202egnp\u202c 🙂\nא {{{{ 7 * 7 }}}}"


class Parsed(HTMLParser):
    """The elements of a page, each with its attributes and the text within."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.elements: list[dict[str, str]] = []
        self._open: list[dict[str, str]] = []
        self.feed(page.read_text())
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {"tag": tag, "text": ""} | {name: value or "" for name, value in attrs}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element["text"] += data

    def texts(self, tag: str) -> list[str]:
        return [" ".join(element["text"].split()) for element in self.elements if element["tag"] == tag]

    @property
    def specs(self) -> dict[str, dict]:
        return json.loads(next(e["text"] for e in self.elements if e.get("id") == "specs"), parse_constant=pytest.fail)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for conv, gain in (("standard", 0.0), ("weighted", 0.02)):
        for seed in range(3):
            write_run(tmp_path / "runs" / f"{conv}-{seed}", conv=conv, seed=seed, gain=gain)
    return tmp_path / "runs"


def test_sections_stand_in_the_order_that_readers_need(runs, make_page, tmp_path):
    write_run(tmp_path / "runs" / "denoiser", model="dncnn", task="denoising")
    page = Parsed(make_page(runs))
    assert page.texts("h2") == [
        "Findings",
        "Table",
        "Difference to the reference",
        "Curves",
        "Quality and cost",
        "Densities",
        "First-layer kernels",
        "Denoised crops",
        "Diverged, failed and unfinished runs",
        "Commands, versions, machine",
    ]
    targets = {e["href"] for e in page.elements if e["tag"] == "a"}
    assert targets == {f"#{e['id']}" for e in page.elements if e["tag"] == "section"}


def test_sentences_and_table_are_those_of_the_comparison(runs, make_page):
    page = Parsed(make_page(runs))
    comparison = Comparison(find_runs([runs]))
    reference = choose_reference(comparison)
    assert reference
    sentences = [effect.sentence for effect in Effects(comparison, reference).rows]
    assert sentences
    assert all(f"{sentence}." in page.texts("li") for sentence in sentences)
    cells, _ = results(comparison)
    table = " ".join(page.texts("table")[0].split())
    assert all(str(cell) in table for cell in cells.to_numpy().ravel())


def test_another_reference_and_margin(runs, make_page):
    text = make_page(runs, "--against", "conv=weighted", "--margin", "30").read_text()
    assert "Difference to conv=weighted" in text
    assert "margin 30 points" in text


def test_every_figure_has_a_table_behind_it_and_says_what_it_shows(runs, make_page):
    page = Parsed(make_page(runs))
    charts = [e for e in page.elements if e.get("class") == "chart"]
    assert len(charts) == len(page.specs) == 4  # differences, accuracy, loss, cost
    labels = [e["aria-label"] for e in page.elements if e.get("role") == "img"]
    assert len(labels) == len(charts)
    assert min(map(len, labels)) > 40
    html = make_page(runs).read_text()
    figures = [one for one in re.findall(r"<figure.*?</figure>", html, re.DOTALL) if "data-spec" in one]
    assert len(figures) == len(charts)
    assert all("<details><summary>Numbers</summary>" in figure and "<td" in figure for figure in figures)


def test_nothing_is_loaded_and_no_script_runs_but_that_of_the_page(runs, make_page):
    page = Parsed(make_page(runs))
    loaded = [e[key] for e in page.elements for key in ("src", "href", "action", "data") if key in e]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in loaded)
    policy = next(e["content"] for e in page.elements if e.get("http-equiv") == "Content-Security-Policy")
    allowed = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert allowed["default-src"] == "'none'"
    scripts = [e["text"] for e in page.elements if e["tag"] == "script" and "type" not in e]
    assert len(scripts) == 2
    assert allowed["script-src"].split() == [
        f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts
    ]
    assert not [name for e in page.elements for name in e if name.startswith("on")]


def test_hostile_texts_stay_texts(runs, make_page, tmp_path):
    plain = Parsed(make_page(runs))
    more = {"device": HOSTILE, "overrides": [HOSTILE], "versions": {HOSTILE: HOSTILE}, "init": HOSTILE}
    for seed in range(2):
        folder = tmp_path / "hostile" / f"{seed}{HOSTILE.replace('/', '')}"
        write_run(folder, model=HOSTILE, conv=HOSTILE, seed=seed, results=more)
    write_run(tmp_path / "hostile" / "failed", results={"status": HOSTILE, "error": HOSTILE})
    path = make_page(runs, tmp_path / "hostile")
    page = Parsed(path)
    assert {e["tag"] for e in page.elements} == {e["tag"] for e in plain.elements}
    assert sum(e["tag"] == "script" for e in page.elements) == 3
    assert not [name for e in page.elements for name in e if name.startswith("on")]
    html = path.read_text()
    assert "\u202e" not in html
    assert "49" not in page.texts("h1")[0]
    assert SCRIPT in page.texts("table")[0]  # as a text
    assert "<script>alert" not in html
    assert "<!--" not in html


@pytest.mark.parametrize("seeds", [1, 3])
def test_runs_that_are_all_equal_give_no_warning_and_no_nan(tmp_path, make_page, seeds):
    for conv in ("standard", "weighted"):
        for seed in range(seeds):
            folder = write_run(tmp_path / "runs" / f"{conv}{seed}", conv=conv, seed=seed)
            same = json.loads((folder / "results.json").read_text()) | {"metrics": {"test/acc": 0.5}}
            (folder / "results.json").write_text(json.dumps(same))
            (folder / "metrics.csv").write_text("epoch,val/acc,val/loss\n0,0.5,0\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = Parsed(make_page(tmp_path / "runs"))
    words = " ".join(page.texts("main")).lower()
    assert not re.search(r"\b(nan|inf|none)\b", words.replace("none:", ""))
    assert all(len(spec["datasets"]) for spec in page.specs.values())


def test_a_single_run(tmp_path, make_page):
    page = Parsed(make_page(write_run(tmp_path / "run")))
    assert page.texts("li")[0].startswith("No difference is shown")
    assert "1 run in 1 row, 1 seed." in page.texts("p")


def test_sound_runs_are_used_and_the_rest_is_listed(runs, make_page, tmp_path):
    write_run(runs / "running", results={"status": "running"})
    write_run(runs / "failed", results={"status": "failed", "error": "RuntimeError: no memory"})
    write_run(runs / "diverged", seed=7, conv="weighted", results={"metrics": {"test/acc": None}})
    (write_run(runs / "cut off", seed=8) / "results.json").write_text('{"status": "compl')
    (write_run(runs / "no epochs", seed=9) / "metrics.csv").write_text("")
    (runs / "foreign").mkdir()
    (runs / "foreign" / "results.json").write_text('{"accuracy": 1}')
    (tmp_path / "empty").mkdir()
    page = Parsed(make_page(runs, tmp_path / "empty"))
    html = make_page(runs, tmp_path / "empty").read_text()
    section = html[html.index('<section id="uncounted">') : html.index('<section id="origin">')]
    for name, reason in {
        "running": "running",
        "failed": "no memory",
        "diverged": "test/acc",
        "cut off": "is not JSON",
        "no epochs": "holds no epochs to draw",
        "foreign": "lacks",
        "empty": "holds no results.json",
    }.items():
        row = next(row for row in re.findall(r"<tr.*?</tr>", section, re.DOTALL) if f"/{name}" in row)
        assert reason in row
    assert "7 runs in 2 rows, 4 seeds." in page.texts("p")


def test_no_runs_and_no_place_to_write(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert report.main([str(tmp_path / "empty"), "-o", str(tmp_path / "a.html")]) == 2
    assert "results.json" in capsys.readouterr().err
    running = write_run(tmp_path / "running", results={"status": "running"})
    assert report.main([str(running), "-o", str(tmp_path / "a.html")]) == 2
    assert "no completed run" in capsys.readouterr().err
    assert not (tmp_path / "a.html").exists()
    run = write_run(tmp_path / "run")
    (tmp_path / "file").touch()
    assert report.main([str(run), "-o", str(tmp_path / "file" / "a.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert report.main([str(run), "--against", "conv=wieghted", "-o", str(tmp_path / "a.html")]) == 2
    assert "no run is that" in capsys.readouterr().err


def test_where_runs_come_from(runs, make_page):
    page = Parsed(make_page(runs))
    assert "6 runs: cpu (x86_64), 1 thread, python 3.11.7, torch 2.6.0, commit 0123456789." in page.texts("li")
    table = page.texts("table")[-1]
    assert "weighted-2python train.py model=vgg conv=weighted seed=2" in table
    made = page.texts("code")[-1]
    assert made.startswith(f"python scripts/report.py {runs} -o ")


def test_a_run_that_does_not_say_its_command(tmp_path, make_page):
    page = make_page(write_run(tmp_path / "run", results={"overrides": None, "versions": None, "git": None}))
    assert "not recorded; its config.yaml has every value" in page.read_text()


def test_arms_are_explained(runs, make_page):
    page = Parsed(make_page(runs))
    assert list(zip(page.texts("dt"), page.texts("dd"), strict=True)) == [
        ("standard", "plain nn.Conv2d"),
        ("weighted", "kernels multiplied by a fixed density"),
    ]
