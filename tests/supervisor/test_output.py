"""Output of workers and the lines that the fleet writes."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable

from jobfleet.supervisor.log import Level, Log
from jobfleet.supervisor.output import LINE_BYTES, Output
from jobfleet.supervisor.writer import BUDGET_BYTES, Account, Writer


def read_all(fd: int) -> bytes:
    pieces = []
    while piece := os.read(fd, 1 << 16):
        pieces.append(piece)
    os.close(fd)
    return b"".join(pieces)


def captured(feed: Callable[[int], None]) -> list[dict[str, object]]:
    """What the log says when `feed` has written to a worker's output, in a thread, and closed it."""
    inner, outer = os.pipe()
    lines: list[bytes] = []
    reader = threading.Thread(target=lambda: lines.append(read_all(inner)))
    reader.start()

    async def run() -> None:
        writer = Writer(outer)
        pipe, end = os.pipe()
        output = Output(pipe, Log("json", writer), asyncio.get_running_loop())
        output.start("mail/7")

        def write() -> None:
            feed(end)
            os.close(end)

        await asyncio.to_thread(write)
        output.finish()
        assert writer.close(30)

    asyncio.run(run())
    os.close(outer)
    reader.join(30)
    return [json.loads(line) for line in lines[0].splitlines()]


def test_lines_are_attributed_and_an_unfinished_one_is_not_lost() -> None:
    records = captured(lambda fd: os.write(fd, "first\r\nsecond ä\nthird".encode()) and None)
    assert [record["message"] for record in records] == ["first", "second ä", "third"]
    assert {record["source"] for record in records} == {"mail/7"}


def test_bytes_that_are_no_text_are_shown_somehow() -> None:
    (record,) = captured(lambda fd: os.write(fd, b"a\xff\x00b\n") and None)
    assert record["message"] == "a�\x00b"


def test_long_line_is_cut_and_the_next_one_is_whole() -> None:
    def feed(fd: int) -> None:
        os.write(fd, b"x" * (3 * LINE_BYTES) + b"\nnext\n")

    first, second = captured(feed)
    assert first["message"] == "x" * LINE_BYTES
    assert first["cut"] is True
    assert second["message"] == "next"


def test_line_without_end_does_not_grow_in_memory() -> None:
    def feed(fd: int) -> None:
        for _ in range(200):
            os.write(fd, b"y" * LINE_BYTES)
        os.write(fd, b"\nnext\n")

    first, second = captured(feed)
    assert len(str(first["message"])) == LINE_BYTES
    assert second["message"] == "next"


def test_flooding_worker_is_never_blocked_by_a_log_that_nobody_reads() -> None:
    inner, outer = os.pipe()
    writer = Writer(outer)

    async def run() -> Output:
        log = Log("json", writer)
        pipe, end = os.pipe()
        output = Output(pipe, log, asyncio.get_running_loop())
        output.start("mail/7")
        line = b"z" * 999 + b"\n"

        def flood() -> None:
            for _ in range(20 * BUDGET_BYTES // len(line)):
                os.write(end, line)
            os.close(end)

        # Nobody reads `inner` meanwhile.
        await asyncio.wait_for(asyncio.to_thread(flood), 60)
        output.finish()
        return output

    output = asyncio.run(run())
    assert output.account.dropped_total > 15 * BUDGET_BYTES // 1000
    assert output.account.pending_bytes <= BUDGET_BYTES
    os.close(inner)
    assert writer.close(30)
    os.close(outer)


def test_dropped_lines_are_counted_in_the_log_once_there_is_room() -> None:
    inner, outer = os.pipe()
    writer, account = Writer(outer), Account()
    log = Log("json", writer)
    line = "z" * 1000
    while not account.dropped:
        log.line(Level.INFO, "mail/7", line, {}, account)
    log.line(Level.INFO, "mail/7", line, {}, account)
    dropped = account.dropped
    pieces: list[bytes] = []
    reader = threading.Thread(target=lambda: pieces.append(read_all(inner)))
    reader.start()
    while account.pending_bytes > BUDGET_BYTES // 2:
        threading.Event().wait(0.001)
    log.line(Level.INFO, "mail/7", "after", {}, account)
    assert writer.close(30)
    os.close(outer)
    reader.join(30)
    *_, told, last = [json.loads(piece) for piece in pieces[0].splitlines()]
    assert (told["level"], told["dropped"]) == ("warning", dropped)
    assert last["message"] == "after"


def test_one_source_that_floods_leaves_room_for_the_others() -> None:
    inner, outer = os.pipe()
    writer = Writer(outer)
    flood, other = Account(), Account()
    while writer.put(b"z" * 1000 + b"\n", flood):
        pass
    assert writer.put(b"mine\n", other)
    assert not writer.close(0.01)
    os.close(inner)
    assert writer.close(30)
    os.close(outer)


def test_log_without_a_reader_does_not_stop_the_writer() -> None:
    inner, outer = os.pipe()
    os.close(inner)
    writer, account = Writer(outer), Account()
    assert writer.put(b"into the void\n", account)
    assert writer.close(30)
    os.close(outer)


def test_text_line_has_level_source_and_fields() -> None:
    inner, outer = os.pipe()
    writer = Writer(outer)
    log = Log("text", writer)
    log.warning("worker 0 died\nwith a second line", pid=7, why="signal 9", empty=None)
    assert writer.close(30)
    os.close(outer)
    first, second = read_all(inner).decode().splitlines()
    assert first.endswith('warning fleet  worker 0 died pid=7 why="signal 9"')
    assert second.endswith("with a second line")


def test_fields_of_a_handler_cannot_hide_what_the_fleet_says() -> None:
    inner, outer = os.pipe()
    writer = Writer(outer)
    log = Log("json", writer)
    log.line(Level.INFO, "mail/7", "said", {"level": "fake", "source": "fake", "amount": 3}, Account())
    assert writer.close(30)
    os.close(outer)
    record = json.loads(read_all(inner))
    assert (record["level"], record["source"], record["amount"]) == ("info", "mail/7", 3)
