"""The page in a browser: it opens at once, is silent, and can be used with a keyboard and with a screen reader."""

import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.experiment.reports.finished_runs import write_checkpoint, write_panel, write_run
from tests.experiment.reports.test_page import HOSTILE
from tests.experiment.searches import write_search

pytestmark = pytest.mark.browser
MakePage = Callable[..., Path]
ARMS = ("standard", "weighted", "trainable", "scaled_init", "another")


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page; whatever it says on the console, raises or asks for by then or later fails the test."""
    complaints: list[str] = []
    pages = []

    def open_page(path: Path, width: int = 1400, scheme: str = "light") -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url) if is_foreign(request.url) else None)
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        pages.append(page)
        page.goto(path.as_uri())
        return page

    def is_foreign(address: str) -> bool:
        return not address.startswith(("file:", "data:image/png;"))

    yield open_page
    for page in pages:
        page.close()
    assert not complaints


def draw_all(page: Any) -> None:
    page.evaluate("Promise.all(charts.map(draw)).then(() => 0)")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """What a page can show: two tasks, panels, checkpoints, trained densities, one diverged run, a search."""
    folder = tmp_path / "runs"
    write_search(folder / "searches" / "one", ("k5[0]", "k5[1]"), points=12, statuses={0: "failed"})
    for model in ("vgg", "resnet"):
        for conv, gain in (("standard", 0.0), ("weighted", 0.03)):
            for seed in range(3):
                run = write_run(folder / f"{model}{conv}{seed}", model=model, conv=conv, seed=seed, gain=gain)
                if seed == 0:
                    write_checkpoint(run, torch.randn(16, 3, 3, 3))
    layers = [{"name": "features.0", "kernel_size": [3, 3], "density": [[0.8], [0.8]], "trainable": True}]
    trainable = write_run(folder / "trainable", conv="trainable", results={"layers": layers})
    (trainable / "metrics.csv").write_text("epoch,val/acc,val/loss,density/features.0/0\n0,0.4,2,0.7\n1,0.5,1,0.8\n")
    write_run(folder / "diverged", conv="weighted", seed=7, results={"metrics": {"test/acc": None}})
    clean = torch.rand(1, 1, 90, 90)
    for conv, error in (("standard", 0.1), ("weighted", 0.05)):
        run = write_run(folder / f"dncnn{conv}", model="dncnn", conv=conv, task="denoising")
        write_panel(run, "set-a", [clean, clean + 0.2, clean + error])
    return folder


def test_it_opens_without_a_word_and_draws_every_figure(runs, make_page, opened):
    path = make_page(runs)
    assert path.stat().st_size < 6e6
    for width in (1400, 390):
        page = opened(path, width)
        draw_all(page)
        assert page.evaluate("charts.length") == page.locator(".chart svg").count() == 12
        assert page.evaluate("charts.every((chart) => chart.getBoundingClientRect().height > 50)")
        assert page.evaluate("document.documentElement.scrollWidth") == width  # no scrolling sideways
        assert "NaN" not in page.locator("main").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_searches_are_drawn_by_their_number_of_coefficients(make_page, opened, tmp_path, scheme):
    write_run(tmp_path / "runs" / "run")
    for place, names in enumerate((("k3[0]",), ("k5[0]", "k5[1]"), ("k7[0]", "k7[1]", "k7[2]"))):
        folder = tmp_path / "runs" / "searches" / str(place)
        write_search(folder, names, points=12, statuses={0: "failed", 2: "pruned"})
    write_search(tmp_path / "runs" / "searches" / "single", points=1, seeds=[0], statuses={0: "failed"})
    path = make_page(tmp_path / "runs")
    for width in (1400, 390):
        page = opened(path, width, scheme)
        draw_all(page)
        figures = page.locator("#search figure")
        assert figures.locator(".chart svg").count() == figures.count() == 4
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert "NaN" not in page.locator("#search").inner_text()
        assert figures.nth(0).locator(".mark-symbol path").count() > 20
        for place in range(3):
            assert {"best", "published"} <= set(figures.nth(place).locator("svg text").all_text_contents())
        colour = "(path) => getComputedStyle(path).fill"
        cells = {cell.evaluate(colour) for cell in figures.nth(1).locator(".mark-rect path").all()[::20]}
        assert len(cells) > 3  # one where the page does not define them
        page.get_by_role("checkbox", name="standard").press("Space")
        assert figures.locator("visible=true").count() == 4
        figures.nth(1).locator("summary").press("Enter")
        assert figures.nth(1).locator("tbody tr >> visible=true").count() == 12


def test_a_table_is_sorted_by_a_click_or_by_a_key(runs, make_page, opened):
    page = opened(make_page(runs))
    heading = page.get_by_role("columnheader", name="test acc (%)").first
    column = heading.evaluate("(cell) => cell.cellIndex")

    def values() -> list[float]:
        cells = page.locator(f".sortable >> nth=0 >> tbody tr td:nth-child({column + 1})").all_inner_texts()
        return [float(text.split(" ")[0]) for text in cells]

    before = values()
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert values() == sorted(before, reverse=True) != before
    heading.get_by_role("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(before)
    other = page.get_by_role("columnheader", name="conv").first
    other.get_by_role("button").click()
    assert page.locator(".sortable >> nth=0 >> th[aria-sort]").count() == 1
    names = page.locator(".sortable >> nth=0 >> tbody tr td:nth-child(2)").all_inner_texts()
    assert names == sorted(names)


def test_models_and_arms_are_hidden_everywhere(runs, make_page, opened):
    page = opened(make_page(runs))
    draw_all(page)

    def shown(selector: str) -> int:
        return page.locator(f"{selector} >> visible=true").count()

    lines = "document.querySelector('#curves figure[data-model=vgg]').querySelectorAll('.mark-line path').length"
    assert (shown("[data-arm=weighted]"), shown("[data-model=vgg]")) > (0, 0)
    assert page.evaluate(lines) == 4  # three arms, and the run that has diverged
    page.get_by_role("checkbox", name="weighted").press("Space")
    assert shown("main [data-arm=weighted]") == 0
    assert shown("main [data-arm=standard]") > 0
    page.wait_for_function(f"{lines} === 2")
    assert "weighted" not in page.locator("#differences svg").all_inner_texts()
    page.get_by_role("checkbox", name="vgg").press("Space")
    assert shown("main [data-model=vgg]") == 0
    for name in ("resnet", "dncnn", "standard", "trainable"):
        page.get_by_role("checkbox", name=name).press("Space")
    assert shown("main tr[data-model]") == 0
    for name in ("vgg", "resnet", "dncnn", "standard", "weighted", "trainable"):
        page.get_by_role("checkbox", name=name).press("Space")
    page.wait_for_function(f"{lines} === 4")
    assert page.evaluate("charts.every((chart) => chart.getBoundingClientRect().width > 200)")


def test_the_slider_goes_from_noisy_over_the_arms_to_clean(runs, make_page, opened):
    page = opened(make_page(runs))
    slider, output = page.locator(".crop input"), page.locator(".crop output")
    seen = [output.inner_text()]
    for _ in range(3):
        slider.press("ArrowRight")
        seen.append(output.inner_text())
        assert page.locator(".stack img >> visible=true").count() == 1
        assert slider.get_attribute("aria-valuetext").split() == seen[-1].split()
    assert [text.rsplit("\n")[0].split(" ", 1)[0] for text in seen] == ["noisy", "dncnn:", "dncnn:", "clean"]
    slider.press("Home")
    assert output.inner_text() == seen[0]


def test_the_cost_can_be_chosen(runs, make_page, opened):
    page = opened(make_page(runs))
    draw_all(page)
    axis = page.locator("#costs svg >> nth=0")
    before = axis.inner_html()
    page.locator("#costs select >> nth=0").select_option("macs")
    page.wait_for_function(
        "(before) => document.querySelector('#costs svg').innerHTML !== before", arg=before, timeout=5000
    )


def test_texts_of_runs_stay_texts(make_page, opened, tmp_path):
    name = HOSTILE.replace("/", "")
    more = {"device": HOSTILE, "overrides": [HOSTILE], "versions": {HOSTILE: HOSTILE}, "init": HOSTILE}
    for conv in (HOSTILE, "standard"):
        for seed in range(2):
            folder = tmp_path / "runs" / f"{conv[-1]}{seed}{name}"
            write_run(folder, model=HOSTILE, conv=conv, seed=seed, results=more)
    write_run(tmp_path / "runs" / "failed", results={"status": HOSTILE, "error": HOSTILE})
    page = opened(make_page(tmp_path / "runs"))
    draw_all(page)
    assert page.locator("img, main script").count() == 0
    assert page.locator("main td", has_text="<script>alert(1)</script>").count() > 3
    assert page.locator(".chart text", has_text="<script>").count() > 0
    page.locator(".mark-symbol path").first.hover(force=True)
    boxes = page.locator("#filters input[name=arm]")
    boxes.first.press("Space")
    assert page.locator("main tr[data-arm] >> visible=true").count() > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_an_accessibility_checker_finds_nothing_serious(runs, make_page, opened, scheme, width):
    axe = files(pytest.importorskip("axe_playwright_python")) / "axe.min.js"
    page = opened(make_page(runs), width, scheme)
    draw_all(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.evaluate(axe.read_text())  # not as a script of the page, whose policy forbids others
    found = page.evaluate("axe.run()")["violations"]
    serious = [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in ("serious", "critical")
    ]
    assert not serious, serious


def test_the_theme_can_be_switched(runs, make_page, opened):
    page = opened(make_page(runs))
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("button", name="Dark").press("Enter")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != light
    assert page.get_by_role("button", name="Light").count() == 1


def many_runs(folder: Path, rows: int, seeds: int, epochs: int) -> Path:
    """Write runs of four models, five arms and as many learning rates as it takes."""
    for row in range(rows):
        model, conv, lr = f"model{row % 4}", ARMS[row // 4 % 5], 0.1 + 0.01 * (row // 20)
        for seed in range(seeds):
            write_run(folder / f"{row}-{seed}", model=model, conv=conv, seed=seed, epochs=epochs, lr=lr)
    return folder


def processor_time(session: Any) -> float:
    """Return what the page has taken since it was opened, in seconds."""
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return metrics["TaskDuration"]


@pytest.mark.parametrize(("rows", "seeds"), [(20, 10), (200, 1)])
def test_200_runs_of_200_epochs_open_in_two_seconds(make_page, opened, browser, tmp_path, rows, seeds):
    """Of processor time, which is what it takes where nothing else runs; with every figure that is on the screen."""
    path = make_page(many_runs(tmp_path / "runs", rows, seeds, 200))
    assert path.stat().st_size < 6e6
    for width in (1400, 390):
        page = opened(path, width)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(path.as_uri())
        page.evaluate("Promise.all(views.values()).then(() => 0)")
        assert 0.05 < processor_time(session) < 2
        if rows == 20:  # all the others, too
            draw_all(page)
            assert processor_time(session) < 2


def test_a_thousand_run_folders_take_less_than_20_seconds(make_page, tmp_path):
    folder = many_runs(tmp_path / "runs", 200, 5, 20)
    start = time.process_time()
    path = make_page(folder)
    assert time.process_time() - start < 20
    assert path.stat().st_size < 6e6
    assert "1,000 runs in 200 rows" in path.read_text()
