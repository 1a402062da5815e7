"""The download against a server on the loopback address that cuts, ignores ranges, or changes its file."""

import random
import re
from collections.abc import Iterator
from contextlib import suppress
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from datamodules.files import download as module
from datamodules.files.download import download
from tests.servers import serving

BODY = random.Random(0).randbytes(10_000)
MD5 = md5(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `body`; each answer ends after the next number of `cuts`, or is whole where there is none."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body = BODY
        self.cuts: list[int] = []
        self.ranges = True
        self.shift = 0  # of what is sent against what was asked for
        self.headers = {"ETag": '"one"'}
        self.announces_length = True
        self.asked: list[tuple[str | None, str | None]] = []  # Range and If-Range of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, begin = self.server, 0
        wanted, condition = self.headers["Range"], self.headers["If-Range"]
        server.asked.append((wanted, condition))
        if server.ranges and wanted and (condition is None or condition in server.headers.values()):
            begin = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) + server.shift
        total = len(server.body)
        self.send_response(416 if begin >= total else 206 if begin else 200)
        if begin:
            span = "*" if begin >= total else f"{begin}-{total - 1}"
            self.send_header("Content-Range", f"bytes {span}/{total}")
        for name, value in server.headers.items():
            self.send_header(name, value)
        if server.announces_length:
            self.send_header("Content-Length", str(max(total - begin, 0)))
        self.end_headers()
        end = begin + server.cuts.pop(0) if server.cuts else total
        with suppress(ConnectionError):
            self.wfile.write(server.body[begin:end])

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Wait for nothing, and note for how long it would have been."""
    waited: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    return waited


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "file.zip"


def fetch(server: Server, target: Path) -> None:
    download(server.url, target, len(BODY), MD5)


def left(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def given_up(server: Server, target: Path, come: int) -> None:
    """Let the download stop for good after some bytes."""
    server.cuts = [come] + [0] * len(module.RETRY_DELAYS)
    with pytest.raises(ValueError, match=f"to continue after the {come:,} of 10,000 bytes received"):
        fetch(server, target)
    assert (target.parent / "file.zip.part").stat().st_size == come
    assert not target.exists()
    server.asked.clear()


def test_whole_file_in_one_go_then_never_again(server, target, waits):
    fetch(server, target)
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert left(target) == ["file.zip"]
    assert server.asked == [(None, None)]
    assert waits == []


def test_cut_many_times_goes_on_where_it_was(server, target, waits, capsys):
    server.cuts = [1000] * 9
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.asked == [(None, None)] + [(f"bytes={count}000-", '"one"') for count in range(1, 10)]
    assert waits == [module.RETRY_DELAYS[0]] * 9  # each attempt brought something
    assert "file.zip: the connection was cut after 1.0 kB of 10.0 kB; trying again in 1 s" in capsys.readouterr().err


def test_waits_grow_while_nothing_comes_and_start_anew_when_something_did(server, target, waits):
    server.cuts = [1000, 0, 0, 500, 0]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert waits == [*module.RETRY_DELAYS[:3], *module.RETRY_DELAYS[:2]]


def test_given_up_then_another_process_goes_on(server, target, waits):
    given_up(server, target, 4000)
    assert waits == list(module.RETRY_DELAYS)
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.asked == [("bytes=4000-", '"one"')]
    assert left(target) == ["file.zip"]


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"Last-Modified": "Tue, 14 Feb 2017 01:58:09 GMT"}, "Tue, 14 Feb 2017 01:58:09 GMT"),
        ({"ETag": 'W/"weak"', "Last-Modified": "Tue, 14 Feb 2017 01:58:09 GMT"}, "Tue, 14 Feb 2017 01:58:09 GMT"),
        ({"ETag": 'W/"weak"'}, None),
        ({}, None),
    ],
)
def test_version_is_named_by_what_the_server_offers(server, target, headers, condition):
    server.headers = headers
    server.cuts = [4000]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.asked == [(None, None), ("bytes=4000-", condition)]


def test_a_mirror_goes_on_without_the_first_servers_version(server, target):
    given_up(server, target, 4000)
    server.headers = {"ETag": '"of the mirror"'}
    download(server.url.replace("file", "mirror/file"), target, len(BODY), MD5)
    assert target.read_bytes() == BODY
    assert server.asked == [("bytes=4000-", None)]


def test_server_that_ignores_ranges_starts_over(server, target, waits):
    server.ranges = False
    server.cuts = [3000, 2000, 5000]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert len(waits) == 3


def test_server_that_ignores_ranges_and_always_cuts_at_the_same_byte_is_given_up(server, target, waits):
    server.ranges = False
    server.cuts = [3000] * 99
    with pytest.raises(ValueError, match=r"after the 3,000 of 10,000 bytes received; .* --url, or copy file.zip"):
        fetch(server, target)
    assert waits == list(module.RETRY_DELAYS)


@pytest.mark.parametrize("known", [True, False])
def test_file_that_changed_in_between_is_not_mixed(server, target, known):
    server.body = BODY[::-1]
    given_up(server, target, 4000)
    server.body, server.headers = BODY, {"ETag": '"two"'}
    if known:
        fetch(server, target)
    else:  # without the version only the md5 can tell
        (target.parent / "file.zip.part.from").unlink()
        with pytest.raises(ValueError, match=r"not the official file.zip .its md5 is not .* and was removed; run"):
            fetch(server, target)
        assert left(target) == []
        fetch(server, target)
    assert target.read_bytes() == BODY


def test_complete_but_wrong_file_is_removed(server, target):
    server.body = BODY[::-1]
    with pytest.raises(ValueError, match=f"not the official file.zip .its md5 is not {MD5}. and was removed"):
        fetch(server, target)
    assert left(target) == []


def test_page_in_place_of_the_file_leaves_what_has_come(server, target):
    given_up(server, target, 4000)
    server.body, server.headers = b"<html>Please log in</html>", {}
    with pytest.raises(ValueError, match=r"not the official file.zip .26 bytes instead of 10,000.; run this"):
        fetch(server, target)
    server.body, server.headers = BODY, {"ETag": '"one"'}
    fetch(server, target)
    assert server.asked[-1] == ("bytes=4000-", '"one"')


def test_range_beyond_the_end_is_followed_by_a_plain_request(server, target):
    given_up(server, target, 4000)
    server.body = BODY[:3000]
    with pytest.raises(ValueError, match="3,000 bytes instead of 10,000"):
        fetch(server, target)
    assert [wanted for wanted, _ in server.asked] == ["bytes=4000-", None]
    assert (target.parent / "file.zip.part").read_bytes() == BODY[:4000]


def test_another_range_than_asked_for_is_followed_by_a_plain_request(server, target):
    server.shift, server.cuts = 1, [4000]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert [wanted for wanted, _ in server.asked] == [None, "bytes=4000-", None]


@pytest.mark.parametrize("surplus", [b"", b"x"])
def test_part_that_is_complete_or_too_long(server, target, surplus):
    target.parent.mkdir()
    (target.parent / "file.zip.part").write_bytes(BODY + surplus)
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert len(server.asked) == len(surplus)


@pytest.mark.parametrize("surplus", [0, 5])
def test_server_that_announces_no_length(server, target, surplus):
    server.announces_length = False
    server.body = BODY + b"x" * surplus
    if surplus:
        with pytest.raises(ValueError, match="not the official"):
            fetch(server, target)
        assert left(target) == []
    else:
        fetch(server, target)
        assert target.read_bytes() == BODY


def test_no_space_is_said_and_not_taken_for_the_network(server, target, monkeypatch, waits):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_receive", full)
    with pytest.raises(ValueError, match=r"file.zip.part cannot be written .No space left on device.; make room"):
        fetch(server, target)
    assert waits == []


def test_lines_of_progress_where_there_is_no_terminal(server, target, monkeypatch, capsys):
    monkeypatch.setattr(module, "REPORT", 0.0)
    monkeypatch.setattr(module, "BLOCK", 4000)
    fetch(server, target)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"file.zip: \S+ \S+ of 10.0 kB, \S+ \S+/s", lines[0])
    assert lines[-1].startswith("file.zip: 10.0 kB of 10.0 kB, ")


def test_mirror_in_a_folder_of_this_machine(tmp_path, target):
    (tmp_path / "mirror.zip").write_bytes(BODY)
    download((tmp_path / "mirror.zip").as_uri(), target, len(BODY), MD5)
    assert target.read_bytes() == BODY
