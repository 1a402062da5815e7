import io

import pandas as pd

from wconv.experiment.benchmarks.pairs import Quartiles
from wconv.experiment.benchmarks.tables import to_csv, to_markdown

ROWS = [
    {"network": "VGG-16", "ratio": Quartiles(1.01862, 0.99, 1.1), "images/s": 1234.56, "runs": 3},
    {"network": "NAFNet", "failed": "out of memory"},
]
FACTS = {"made by": "`python scripts/benchmark.py step`", "CPU": "AMD EPYC"}


def test_people_read_the_facts_and_rounded_ratios():
    lines = to_markdown(ROWS, FACTS).splitlines()
    assert lines[:3] == ["- made by: `python scripts/benchmark.py step`", "- CPU: AMD EPYC", ""]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[3], lines[5], lines[6])]
    assert cells == [
        ["network", "ratio", "images/s", "runs", "failed"],
        ["VGG-16", "1.019 (0.990 to 1.100)", "1235", "3", ""],
        ["NAFNet", "", "", "", "out of memory"],
    ]


def test_programs_read_unrounded_values():
    text = to_csv(ROWS, FACTS)
    assert text.splitlines()[:2] == ["# made by: `python scripts/benchmark.py step`", "# CPU: AMD EPYC"]
    table = pd.read_csv(io.StringIO(text), comment="#")
    assert table.columns.tolist() == [
        *("network", "ratio", "ratio, first quartile", "ratio, third quartile", "images/s", "runs", "failed")
    ]
    assert table.iloc[0, 1:5].tolist() == [1.01862, 0.99, 1.1, 1234.56]
    assert table["failed"].tolist()[1] == "out of memory"
