"""`prepare_data.py div2k` on archives with official names and a handful of images, from a server on this machine."""

import io
import multiprocessing
import os
import shutil
import signal
import stat
from collections.abc import Iterator
from functools import partial
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import pytest
from PIL import Image

from datamodules.files import archive as module
from datamodules.files.archive import ARCHIVES, Archive, unpack
from scripts import prepare_data
from tests.servers import serving

TRAIN, VALID = "DIV2K_train_HR", "DIV2K_valid_HR"
OFFICIAL = dict(ARCHIVES)
IMAGES = {TRAIN: ["0001.png", "0002.png", "0003.png"], VALID: ["0801.png", "0802.png"]}


def image_bytes(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (5 + seed % 3, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def write_zip(path: Path, entries: dict[str | ZipInfo, bytes]) -> None:
    with ZipFile(path, "w") as opened:
        for name, content in entries.items():
            opened.writestr(name, content)


def images(folder: str) -> dict[str, bytes]:
    return {f"{folder}/{name}": image_bytes(int(name[:4])) for name in IMAGES[folder]}


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        self.server.asked.append(self.path)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the two archives, which the command is told to take for the real ones."""
    monkeypatch.setitem(module.IMAGE_NUMBERS, TRAIN, range(1, 4))
    monkeypatch.setitem(module.IMAGE_NUMBERS, VALID, range(801, 803))
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in IMAGES:
        path = folder / f"{name}.zip"
        write_zip(path, {f"{name}/": b"", **images(name), "__MACOSX/._0001.png": b"", f"{name}/Thumbs.db": b"x"})
        monkeypatch.setitem(ARCHIVES, name, Archive(path.stat().st_size, md5(path.read_bytes()).hexdigest()))
    return folder


@pytest.fixture
def server(mirror: Path) -> Iterator[ThreadingHTTPServer]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=mirror))) as running:
        running.asked = []
        running.url = f"http://127.0.0.1:{running.server_port}"
        yield running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "new" / "data"


def run(data: Path, url: str) -> int:
    return prepare_data.main(["div2k", "--data-dir", str(data), "--url", url])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(capsys: pytest.CaptureFixture[str], data: Path, url: str, *words: str) -> None:
    assert run(data, url) == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert sentence.startswith("prepare_data: ")
    assert all(word in sentence for word in words), sentence


def test_official_archives():
    assert {name: len(numbers) for name, numbers in module.IMAGE_NUMBERS.items()} == {TRAIN: 800, VALID: 100}
    assert sum(archive.size for archive in OFFICIAL.values()) == 3_979_597_606
    assert [len(bytes.fromhex(archive.md5)) for archive in OFFICIAL.values()] == [16, 16]
    assert list(OFFICIAL) == list(module.IMAGE_NUMBERS)


def test_download_unpack_decode_then_nothing_to_do(server, data, capsys):
    assert run(data, server.url) == 0
    out = capsys.readouterr().out
    assert f"more in {data}; " in out
    assert f"removed {data / TRAIN}.zip, which is unpacked" in out
    assert out.endswith(f"DIV2K is in {data}, complete:\n  {TRAIN}: 3 images\n  {VALID}: 2 images\n")
    assert names(data) == [TRAIN, VALID, "stores"]
    for folder, expected in IMAGES.items():
        assert names(data / folder) == expected
        assert all((data / folder / name).read_bytes() == image_bytes(int(name[:4])) for name in expected)
    assert len(list(data.glob("stores/*/pixels.bin"))) == 2
    assert len(server.asked) == 2

    def stamps() -> dict[Path, int]:
        """Return when each file was written; checksums are remembered a second after that, by whoever comes next."""
        files = [path for path in data.rglob("*") if path.is_file() and not path.match(".*.checksums.json")]
        return {path: path.stat().st_mtime_ns for path in files}

    before = stamps()
    assert run(data, server.url) == 0
    out = capsys.readouterr().out
    assert f"DIV2K is already in {data}, complete; nothing to download:" in out
    assert "decoding" not in out
    assert len(server.asked) == 2
    assert stamps() == before


def test_archives_copied_by_hand_need_no_network(server, mirror, data):
    shutil.copytree(mirror, data)
    assert run(data, server.url) == 0
    assert server.asked == []
    assert names(data) == [TRAIN, VALID, "stores"]


def test_only_what_is_missing_is_fetched(server, data, capsys):
    assert run(data, server.url) == 0
    shutil.rmtree(data / VALID)
    assert run(data, f"{server.url}/") == 0
    assert "DIV2K is in" in capsys.readouterr().out
    assert server.asked[2:] == [f"/{VALID}.zip"]
    assert names(data / VALID) == IMAGES[VALID]


def test_folder_that_lacks_images_gets_them_and_keeps_the_others(server, data):
    (data / TRAIN).mkdir(parents=True)
    (data / TRAIN / "0002.png").write_bytes(image_bytes(77))
    (data / TRAIN / "notes.txt").write_text("mine")
    assert run(data, server.url) == 0
    assert names(data / TRAIN) == [*IMAGES[TRAIN], "notes.txt"]
    assert (data / TRAIN / "0002.png").read_bytes() == image_bytes(77)
    assert (data / TRAIN / "0003.png").read_bytes() == image_bytes(3)


@pytest.mark.parametrize("nested", [f"{TRAIN}/{TRAIN}", f"DIV2K/{TRAIN}"])
def test_images_one_folder_further_down_are_not_downloaded_again(server, data, capsys, nested):
    (data / nested).mkdir(parents=True)
    for name in IMAGES[TRAIN]:
        (data / nested / name).write_bytes(image_bytes(int(name[:4])))
    refused(capsys, data, server.url, f"DIV2K's folder {data / TRAIN} ", str(data / nested), "move")
    assert server.asked == []


def test_wrong_archive_is_removed_and_nothing_unpacked(server, mirror, data, capsys):
    content = (mirror / f"{TRAIN}.zip").read_bytes()
    (mirror / f"{TRAIN}.zip").write_bytes(content[:-1] + b"x")
    refused(capsys, data, server.url, f"{server.url}/{TRAIN}.zip", ARCHIVES[TRAIN].md5, "was removed", "--url")
    assert names(data) == []


def test_no_such_mirror(server, data, capsys):
    url = f"{server.url}/elsewhere"
    refused(capsys, data, url, f"{url}/{TRAIN}.zip", "404", f"copy {TRAIN}.zip by hand to {data}")
    assert names(data) == []


def test_too_little_space_is_said_before_anything_is_asked_for(server, data, monkeypatch, capsys):
    needed = 3 * sum(archive.size for archive in ARCHIVES.values())
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage._replace(free=needed - 1))
    refused(capsys, data, server.url, "DIV2K needs about", f"more in {data}", "are free; make room", "--data-dir")
    assert server.asked == []
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage._replace(free=needed))
    assert run(data, server.url) == 0


def test_what_has_come_counts_as_space(mirror, data, monkeypatch, capsys):
    data.mkdir(parents=True)
    monkeypatch.setitem(ARCHIVES, TRAIN, Archive(4_000_000_000, "0" * 32))
    (data / f"{TRAIN}.zip.part").write_bytes(b"x" * 1_000_000)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: usage._replace(free=11_999_000_000))
    module.check_space(data, [TRAIN])
    with pytest.raises(ValueError, match="needs about 12"):
        module.check_space(data, [TRAIN, VALID])


def test_ctrl_c(data, monkeypatch, capsys):
    def interrupted(data_dir: Path, url: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_data, "prepare_div2k", interrupted)
    assert run(data, "http://127.0.0.1") == 75
    assert capsys.readouterr().err == "prepare_data: stopped; run the same command to continue\n"


# Archives that nobody should unpack


def link(name: str) -> ZipInfo:
    entry = ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    "entry", ["../outside.png", "/outside.png", f"{TRAIN}/../../outside.png", link(f"{TRAIN}/0004.png"), link("out")]
)
def test_archive_that_leads_outside_is_refused_and_nothing_written(mirror, tmp_path, entry):
    data = tmp_path / "deep" / "data"
    data.mkdir(parents=True)
    write_zip(data / "bad.zip", {**images(TRAIN), entry: b"/etc"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="which leads out of DIV2K_train_HR; nothing was unpacked"):
        unpack(data / "bad.zip", data / TRAIN)
    assert sorted(tmp_path.rglob("*")) == before


def test_archive_that_lacks_an_image(mirror, tmp_path):
    write_zip(tmp_path / "bad.zip", {name: content for name, content in images(TRAIN).items() if "0002" not in name})
    with pytest.raises(ValueError, match=r"bad.zip lacks 1 of the images of DIV2K_train_HR .0002.png first.; replace"):
        unpack(tmp_path / "bad.zip", tmp_path / TRAIN)
    assert names(tmp_path) == ["bad.zip", "mirror"]


@pytest.mark.parametrize("damage", [lambda content: content[:-1000], lambda content: content.replace(b"IDAT", b"TADI")])
def test_damaged_archive(mirror, tmp_path, damage):
    (tmp_path / "bad.zip").write_bytes(damage((mirror / f"{TRAIN}.zip").read_bytes()))
    with pytest.raises(ValueError, match=r"bad.zip is no whole archive .*; remove it and run this command again"):
        unpack(tmp_path / "bad.zip", tmp_path / TRAIN)
    assert names(tmp_path) == ["bad.zip", "mirror"]


def test_file_in_the_way_of_the_folder(mirror, tmp_path):
    (tmp_path / TRAIN).write_text("not a folder")
    with pytest.raises(ValueError, match=f"cannot be unpacked to {tmp_path / TRAIN} .*; make room there or choose"):
        unpack(mirror / f"{TRAIN}.zip", tmp_path / TRAIN)
    assert names(tmp_path) == [TRAIN, "mirror"]


def killed_at_the_second_image(archive: Path, folder: Path) -> None:
    copy, copied = shutil.copyfileobj, []

    def dying(source, target, length):
        copied.append(copy(source, target, length))
        if len(copied) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    shutil.copyfileobj = dying
    unpack(archive, folder)


def test_kill_in_the_middle_leaves_no_half_folder(server, mirror, data):
    data.mkdir(parents=True)
    process = multiprocessing.get_context("fork").Process(
        target=killed_at_the_second_image, args=(mirror / f"{TRAIN}.zip", data / TRAIN)
    )
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert names(data) == [f".{TRAIN}.part"]
    assert len(names(data / f".{TRAIN}.part")) == 2
    assert run(data, server.url) == 0
    assert names(data) == [TRAIN, VALID, "stores"]
