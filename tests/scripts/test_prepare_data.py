"""The command against a server of its own on this machine; no test needs a network."""

import io
import pickle
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from torchvision.datasets import CIFAR100

from datamodules.files import download
from scripts import prepare_data
from tests.servers import serving
from tests.tiny import CommandResult

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "prepare_data.py"
NAME = "cifar-100-python.tar.gz"


class Server(ThreadingHTTPServer):
    """Serves one body, at any path but /gone; `cut` bytes of it are announced and never sent."""

    body: bytes
    cut = 0
    requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{NAME}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.path == "/gone":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        with suppress(ConnectionError):  # the client hangs up when the size is wrong
            self.wfile.write(self.server.body[: len(self.server.body) - self.server.cut])

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A tiny archive in the official layout, which torchvision and the command are told to take for the real one."""
    contents = {name: pickle.dumps({"data": name * 100}) for name in ("train", "test", "meta")}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    digest = {name: md5(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(CIFAR100, "train_list", [["train", digest["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", digest["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": digest["meta"]})
    monkeypatch.setattr(CIFAR100, "tgz_md5", md5(buffer.getvalue()).hexdigest())
    monkeypatch.setattr(prepare_data, "CIFAR100_SIZE", len(buffer.getvalue()))
    return buffer.getvalue()


@pytest.fixture
def server(archive: bytes) -> Iterator[Server]:
    with serving(Server(("127.0.0.1", 0), Handler)) as running:
        running.body = archive
        yield running


@pytest.fixture
def nobody() -> str:
    """Return an address at which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/{NAME}"


class Command:
    """Runs the command in this process and keeps what it printed."""

    def __init__(self, data_dir: Path, run_main: Callable[..., CommandResult]) -> None:
        self.data_dir, self.run_main = data_dir, run_main

    def __call__(self, url: str) -> CommandResult:
        return self.run_main(prepare_data.main, "cifar100", "--data-dir", self.data_dir, "--url", url)

    def complete(self, url: str) -> str:
        """Expect success and return what was printed."""
        code, out, err = self(url)
        assert code == 0, err
        folder = self.data_dir / "cifar-100-python"
        assert {path.name for path in folder.iterdir()} == {"train", "test", "meta"}
        assert f"in {folder}, complete and verified" in out
        return out

    def refused(self, url: str, *words: str) -> None:
        """Expect exit code 2 and a sentence, after what was said of the download if it came to one."""
        code, out, err = self(url)
        sentence = err.splitlines()[-1]
        assert code == 2
        assert out == ""
        assert sentence.startswith("prepare_data: ")
        assert err.count("prepare_data: ") == 1
        assert "Traceback" not in err
        assert all(word in sentence for word in words), sentence

    def left(self) -> list[str]:
        """Return what lies in the data directory."""
        return sorted(path.name for path in self.data_dir.iterdir())


@pytest.fixture
def command(archive: bytes, tmp_path: Path, run_main: Callable[..., CommandResult]) -> Command:
    return Command(tmp_path / "new" / "data", run_main)


# What works


def test_download_then_nothing_to_do(command: Command, server: Server, nobody: str) -> None:
    out = command.complete(server.url)
    assert "already" not in out
    assert f"train: {(command.data_dir / 'cifar-100-python' / 'train').stat().st_size:,} bytes" in out
    assert command.left() == ["cifar-100-python", NAME]
    asked = server.requests
    assert asked == 1
    assert "already" in command.complete(nobody)
    assert server.requests == asked


def test_archive_copied_by_hand_needs_no_network(command: Command, archive: bytes, nobody: str) -> None:
    command.data_dir.mkdir(parents=True)
    (command.data_dir / NAME).write_bytes(archive)
    assert "already" not in command.complete(nobody)


def test_mirror_may_give_the_archive_another_name(command: Command, server: Server) -> None:
    command.complete(server.url.replace(NAME, "mirror?file=7"))
    assert (command.data_dir / NAME).is_file()


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_damaged_file_is_unpacked_again(command: Command, server: Server, nobody: str, name: str) -> None:
    command.complete(server.url)
    (command.data_dir / "cifar-100-python" / name).write_bytes(b"damaged")
    assert "already" not in command.complete(nobody)


def test_damaged_archive_is_downloaded_again(command: Command, server: Server, archive: bytes) -> None:
    command.data_dir.mkdir(parents=True)
    (command.data_dir / NAME).write_bytes(archive[:-10])
    command.complete(server.url)
    assert (command.data_dir / NAME).read_bytes() == archive


# What goes wrong


def test_not_found(command: Command, server: Server) -> None:
    url = server.url.replace(NAME, "gone")
    command.refused(url, url, "404", "--url", f"copy {NAME} by hand to {command.data_dir}")
    assert command.left() == []


def test_connection_cut_in_the_middle(
    command: Command, server: Server, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "RETRY_DELAYS", (0.0, 0.0))
    server.cut = 50
    so_far = f"run the same command to continue after the {len(archive) - 50:,} of {len(archive):,} bytes received"
    command.refused(server.url, server.url, "the connection was cut", so_far)
    assert command.left() == [f"{NAME}.part", f"{NAME}.part.from"]
    server.cut = 0
    command.complete(server.url)
    assert command.left() == ["cifar-100-python", NAME]


def test_altered_archive(command: Command, server: Server) -> None:
    server.body = server.body[:-1] + b"x"
    command.refused(server.url, server.url, "not the official", CIFAR100.tgz_md5, "by hand")
    assert command.left() == []


def test_something_else_than_an_archive(command: Command, server: Server) -> None:
    server.body = b"<html>Please log in</html>"
    command.refused(server.url, "not the official", "(26 bytes instead of ")
    assert command.left() == []


def test_nothing_listens(command: Command, nobody: str) -> None:
    command.refused(nobody, nobody, "refused", "check the network", f"copy {NAME} by hand to {command.data_dir}")
    assert command.left() == []


def test_server_that_never_answers(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{NAME}"
        command.refused(url, url, "timed out", "check the network")


def test_archive_copied_by_hand_that_is_broken_is_named_and_kept(command: Command, nobody: str) -> None:
    command.data_dir.mkdir(parents=True)
    (command.data_dir / NAME).write_bytes(b"still being copied")
    command.refused(nobody, "refused", f"replace {command.data_dir / NAME}")
    assert (command.data_dir / NAME).read_bytes() == b"still being copied"


def test_address_that_is_none(command: Command) -> None:
    command.refused("mirror", "mirror", "unknown url type", "--url")


def test_data_dir_is_a_file(command: Command, server: Server) -> None:
    command.data_dir.parent.mkdir()
    command.data_dir.write_text("not a folder")
    command.refused(server.url, str(command.data_dir), "--data-dir")
    assert server.requests == 0
    assert command.data_dir.read_text() == "not a folder"


def test_data_dir_below_a_file(command: Command, server: Server) -> None:
    command.data_dir.parent.write_text("not a folder")
    command.refused(server.url, str(command.data_dir), "--data-dir")


def test_file_in_the_way_of_the_folder(command: Command, server: Server) -> None:
    command.data_dir.mkdir(parents=True)
    (command.data_dir / "cifar-100-python").write_text("not a folder")
    command.refused(server.url, str(command.data_dir / "cifar-100-python"), "--data-dir")


# The command line


@pytest.mark.parametrize("arguments", [[], ["imagenet"], ["cifar100", "--datadir"]])
def test_wrong_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        prepare_data.main(arguments)
    assert caught.value.code == 2


def test_default_folder_lies_beside_train() -> None:
    assert SCRIPT.parent.parent / "data" == prepare_data.DATA_DIR


def test_as_a_program_from_another_directory(tmp_path: Path, nobody: str) -> None:
    (tmp_path / "data").write_text("not a folder")
    arguments = ["cifar100", "--data-dir", "data", "--url", nobody]
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 2
    assert finished.stdout == ""
    (sentence,) = finished.stderr.splitlines()
    assert "data is no folder to write to" in sentence
