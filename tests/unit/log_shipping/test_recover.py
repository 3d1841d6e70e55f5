# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue of a shipper that was killed: taken up to its last whole entry, and what was on its way sent again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._shipping_config import (
    RESENT,
    STATE,
    render_recover,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def record(text: str) -> str:
    return f"<Obj:1:msg:1:\n+pszRawMsg:1:{len(text)}:{text}:\n>End\n.\n"


def index(first: int, offset: int, last: int = 9, end: int = 9) -> str:
    one = f"<Obj:1:strm:1:\n+iCurrFNum:2:1:{last}:\n+iCurrOffs:2:1:{end}:\n>End\n.\n"
    two = f"<Obj:1:strm:1:\n+iCurrFNum:2:1:{first}:\n+iCurrOffs:2:1:{offset}:\n>End\n.\n"
    return f"<OPB:1:qqueue:1:\n+iQueueSize:2:1:7:\n+tVars.disk.sizeOnDisk:2:1:7:\n>End\n.\n{one}{two}"


class Queue:
    """The folder of a queue."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def file(self, number: int) -> Path:
        return self.folder / f"queue.{number:08d}"

    def recover(self) -> None:
        script = render_recover().replace(STATE, str(self.folder))
        subprocess.run([sys.executable, "-c", script], check=True)

    def noted(self) -> dict[str, list[int]]:
        """Return the numbers that are written down of the queue."""
        text = (self.folder / "queue.qi").read_text()
        # Every number is told with its length.
        for length, value in re.findall(r"\+\w[\w.]*:2:(\d+):(\d+):", text):
            assert int(length) == len(value)
        found = {key: re.findall(rf"\+{key}:2:\d+:(\d+):", text) for key in ("iCurrFNum", "iCurrOffs", "iQueueSize")}
        return {key: [int(value) for value in values] for key, values in found.items()}


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "state")


def test_an_empty_queue_is_none(queue: Queue) -> None:
    (queue.folder / "queue.qi").write_text(index(1, 0))
    queue.recover()
    assert not (queue.folder / "queue.qi").exists()


def test_a_torn_entry_goes_and_the_rest_stays(queue: Queue) -> None:
    whole = record("one") + record("two\n>End\n.\n<Obj:1:msg:1:\n, which is no end")
    queue.file(4).write_text(whole)
    queue.file(5).write_text(record("three") + record("four")[:-3])
    queue.recover()
    assert queue.file(4).read_text() == whole
    assert queue.file(5).read_text() == record("three")
    end = len(record("three"))
    assert queue.noted() == {"iCurrFNum": [5, 4], "iCurrOffs": [end, 0], "iQueueSize": [3]}


def test_what_was_surely_taken_out_is_not_sent_again(queue: Queue) -> None:
    queue.file(2).write_text(record("one") + record("two") + record("three"))
    offset = len(record("one"))
    (queue.folder / "queue.qi").write_text(index(2, offset))
    queue.recover()
    assert queue.noted()["iCurrOffs"] == [len(record("one") + record("two") + record("three")), offset]
    assert queue.noted()["iQueueSize"] == [2]


@pytest.mark.parametrize("noted", [index(1, 5), index(2, 5), "nonsense", ""])
def test_a_position_that_cannot_be_is_not_believed(queue: Queue, noted: str) -> None:
    queue.file(2).write_text(record("one") + record("two"))
    (queue.folder / "queue.qi").write_text(noted)
    queue.recover()
    assert queue.noted()["iCurrOffs"][1] == 0
    assert queue.noted()["iQueueSize"] == [2]


def test_what_is_not_known_is_left_alone(queue: Queue) -> None:
    text = record("one") + "<Obj:2:msg:2:\n+new\n>End\n.\n"
    queue.file(1).write_text(text)
    queue.recover()
    assert queue.file(1).read_text() == text
    assert not (queue.folder / "queue.qi").exists()


def test_files_after_a_gap_are_reached(queue: Queue) -> None:
    queue.file(1).write_text(record("one"))
    queue.file(4).write_text(record("four"))
    queue.recover()
    assert queue.file(2).read_text() == record("four")
    assert queue.noted()["iCurrFNum"] == [2, 1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(texts=st.lists(st.text(st.characters(codec="ascii"), max_size=30), max_size=5), cut=st.integers(0, 400))
def test_whatever_is_cut_off_whole_entries_stay(tmp_path: Path, texts: list[str], cut: int) -> None:
    queue = Queue(tmp_path / "any")
    for path in queue.folder.iterdir():
        path.unlink()
    data = "".join(map(record, texts)).encode()[:cut]
    queue.file(1).write_bytes(data)
    queue.recover()
    left = queue.file(1).read_bytes()
    assert data.startswith(left)
    wanted = b""
    for text in texts:
        if len(wanted) + len(record(text)) > cut:
            break
        wanted += record(text).encode()
    assert left.startswith(wanted)


def test_a_log_that_was_cut_short_is_read_from_its_begin(queue: Queue) -> None:
    states = {}
    for name, size in (("cut", 3), ("whole", 30)):
        log = queue.folder / name
        log.write_text("x" * size)
        states[name] = queue.folder / f"imfile-state:{log.stat().st_ino}:abc"
        states[name].write_text(json.dumps({"filename": str(log), "curr_offs": 30}))
    (queue.folder / "imfile-state:1:torn").write_text("{")
    script = render_recover().replace(STATE, str(queue.folder))
    look = [sys.executable, "-c", script, "look"]
    assert subprocess.run(look, check=False).returncode == 0
    queue.recover()
    assert {name for name, state in states.items() if state.exists()} == {"whole"}
    assert subprocess.run(look, check=False).returncode == 1


def test_what_was_sent_last_is_sent_again(queue: Queue) -> None:
    lines = [f"<133>1 line {number}\n" for number in range(RESENT + 50)]
    (queue.folder / "sent.1").write_text("".join(lines[: RESENT // 2]))
    (queue.folder / "sent").write_text("".join(lines[RESENT // 2 :]) + "<133>1 torn")
    queue.recover()
    assert (queue.folder / "replay.log").read_text() == "".join(lines[-RESENT:])
    assert not (queue.folder / "sent").exists()
    assert not (queue.folder / "sent.1").exists()
