import argparse
from pathlib import Path

import pytest

from wconv.experiment.benchmarks import evaluation
from wconv.experiment.common.checkout import ROOT

TABLE = """\
| set   |   sigma |   noisy PSNR (dB) |   PSNR (dB) |   SSIM |
|:------|--------:|------------------:|------------:|-------:|
| bsd68 |      25 |             20.16 |       {psnr} | 0.7316 |
"""


def test_each_way_is_evaluated_in_its_checkout(monkeypatch, tmp_path):
    calls = []

    def run(words, threads, checkout):
        calls.append((checkout, "--fast" in words))
        return TABLE.format(psnr=29.22 if "--fast" in words else 29.23)

    monkeypatch.setattr(evaluation, "run_python", run)
    found = evaluation.measure(
        argparse.Namespace(before=tmp_path, checkpoint=Path("a.pth"), data=Path("b"), pairs=2, threads=1)
    )
    assert sorted(calls) == sorted(2 * [(tmp_path, False), (ROOT, False), (ROOT, True)])
    assert [row["PSNR (dB)"] for row in found] == [29.23, 29.23, 29.22]
    assert found[0]["before / this"].median == 1


@pytest.mark.parametrize("gone", ["| bsd68", "PSNR (dB)"])
def test_a_table_without_figures_is_no_measurement(gone):
    with pytest.raises((ValueError, IndexError)):
        evaluation.psnr_of(TABLE.format(psnr=29.23).replace(gone, "x"))
