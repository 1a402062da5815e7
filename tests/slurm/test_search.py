"""A search as an array of workers that share one study."""

import csv
import sys

from tests.slurm.conftest import ROOT, run, wait_until


def test_an_array_of_four_workers_shares_one_study(tmp_path):
    words = ["search=optuna", "experiment=quickstart", "datamodule.train_images=400", "datamodule.test_images=100"]
    words += ["trainer.max_epochs=1", "search.seeds=[0]", "search.evaluations=8", "search.confirm_seeds=[5,6]"]
    words += [f"paths.output_dir={tmp_path}", "trainer.accelerator=cpu", "resources.walltime=00:20:00"]
    command = [sys.executable, ROOT / "scripts" / "search.py", *words]
    said = run(*command, "--submit", "--workers", "4")
    assert said.returncode == 0, said.stderr
    assert "submitted 4 workers as job" in said.stdout
    (launch,) = tmp_path.glob("searches/*/launches/001")
    (job,) = (launch / "jobs").read_text().split()

    def over() -> bool:
        return job not in run("squeue", "--noheader", "--array", "--format=%F").stdout.split()

    def logs() -> str:
        return "".join(path.read_text() for path in sorted(launch.glob("logs/*")))

    wait_until(over, 400, "an empty queue")
    (file,) = tmp_path.glob("searches/*/history.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [int(row["evaluation"]) for row in rows] == list(range(10)), logs()
    assert len({row["k3[0]"] for row in rows}) == 10
    by_worker = [path.read_text().count("] k3[0]=") for path in sorted(launch.glob("logs/worker*.log"))]
    assert sum(by_worker) == 8, logs()
    assert sum(count > 0 for count in by_worker) > 1, logs()
    assert logs().count("confirming on fresh seeds 5, 6") == 1
    assert len(list(file.parent.glob("confirmation.md"))) == 1
    assert "8 of 8 evaluations done" in run(*command, "--status").stdout
