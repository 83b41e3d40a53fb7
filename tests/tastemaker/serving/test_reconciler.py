"""The reconciler's own process with small real servers: start, stop, crash, one at a time."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tastemaker.core.errors import NotFound, ServiceError
from tastemaker.core.home import Home
from tastemaker.serving import control, processes, state
from tastemaker.serving.services import PORT, Liveness, Service
from tests.tastemaker.serving.conftest import free_port
from tests.tastemaker.serving.small_servers import QUICK, answers, eventually, rows, server, up


def pids(home: Home) -> dict[str, int]:
    return {key: row["pid"] for key, row in rows(home).items()}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(str(tmp_path / "home"))
    yield home
    control.down(home)
    assert processes.marked_members(home.root) == []


def test_up_waits_until_all_answer_and_down_leaves_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [server("one", free_port()), server("two", free_port(), "b" * 16, "--child", "1000")]
    up(home, *both)
    assert all(answers(service) for service in both)
    assert "one: ready after" in capsys.readouterr().err
    table = control.status(home).splitlines()
    assert table[0].split() == [
        *("model", "state", "bundle", "port", "pid", "restarts", "since", "canary"),
        *("last", "event"),
    ]
    assert [line.split()[:3] for line in table[1:3]] == [
        ["one", "ready", "a" * 16],
        ["two", "ready", "b" * 16],
    ]
    told = json.loads(control.status(home, as_json=True))
    assert told["running"]
    assert [one["name"] for one in told["servers"]] == ["one", "two"]
    assert len(processes.marked_members(home.root)) == 3  # with the child of `two`
    assert control.down(home)
    assert not any(answers(service) for service in both)
    assert processes.marked_members(home.root) == []
    assert control.status(home) == "not running"
    assert json.loads(control.status(home, as_json=True)) == {"running": False}
    assert not control.down(home)


def test_up_again_keeps_equal_services_and_replaces_changed_ones(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = server("one", free_port()), server("two", free_port())
    up(home, one, two)
    before = pids(home)
    up(home, one, two)
    assert "already up" in capsys.readouterr().err
    assert pids(home) == before
    changed = server("one", one.port, "b" * 16)
    up(home, changed, two)
    assert "already up" not in capsys.readouterr().err
    assert pids(home)["one"] != before["one"]
    assert pids(home)["two"] == before["two"]
    assert rows(home)["one"]["bundle"] == "b" * 16


def test_other_ports_are_another_start(home: Home) -> None:
    one = server("one", free_port())
    up(home, one)
    leader = state.read(home)["pid"]
    moved = replace(one, port=free_port())
    up(home, moved)
    assert state.read(home)["pid"] != leader
    assert answers(moved)
    assert not answers(one)


def test_another_folder_of_manifests_is_another_start(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = server("one", free_port())
    up(home, one)
    leader = state.read(home)["pid"]
    monkeypatch.setenv("TASTEMAKER_MANIFESTS", str(home.root))
    up(home, one)
    assert state.read(home)["pid"] != leader


@pytest.mark.slow
def test_every_child_that_is_killed_comes_back_whole(home: Home) -> None:
    both = [server("one", free_port(), "a" * 16, "--child", "1000"), server("two", free_port())]
    up(home, *both)
    for key, service in zip(("one", "two"), both, strict=True):
        first = pids(home)[key]
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda k=key, f=first: pids(home)[k] not in (0, f))  # type: ignore[misc]
        assert eventually(lambda s=service: answers(s))  # type: ignore[misc]
        assert processes.session_members(first) == []  # its child went with it
    assert eventually(lambda: all(row["event"] == "ready again" for row in rows(home).values()))
    assert [row["restarts"] for row in rows(home).values()] == [1, 1]


@pytest.mark.slow
def test_a_server_that_keeps_crashing_fails_alone(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = (
        server("bad", free_port(), "b" * 16, "--exit-after", "1.5"),
        server("good", free_port()),
    )
    up(home, good, bad, timing=replace(QUICK, max_in_row=2))
    assert eventually(lambda: rows(home)["bad"]["state"] == "failed", timeout_s=30)
    assert rows(home)["bad"]["restarts"] == 2
    assert "ended with code 3, 3 times in a row" in rows(home)["bad"]["event"]
    assert answers(good)
    assert not answers(bad)
    before = pids(home)["good"]
    up(home, good, bad)  # somebody asks: tried again
    assert "already up" not in capsys.readouterr().err
    assert answers(bad)
    assert pids(home)["good"] == before


def test_a_process_that_hangs_is_replaced(home: Home) -> None:
    probe = Liveness("/health", period_s=0.2, timeout_s=0.5, failures=3)
    one = server("one", free_port(), liveness=probe)
    up(home, one)
    first = pids(home)["one"]
    os.kill(first, signal.SIGSTOP)  # neither ends nor answers
    assert eventually(lambda: pids(home)["one"] not in (0, first))
    assert eventually(lambda: answers(one))
    assert processes.identity(first) is None
    log = home.path("run", "logs", "reconciler.log").read_text()
    assert "one: hangs: /health was not answered 3 times in a row" in log


@pytest.mark.slow
def test_a_killed_reconciler_takes_its_servers_along(home: Home) -> None:
    both = [server("one", free_port()), server("two", free_port(), "b" * 16, "--child", "1000")]
    up(home, *both)
    leader, before = state.read(home)["pid"], pids(home)
    os.kill(leader, signal.SIGKILL)
    assert eventually(
        lambda: all(processes.identity(pid) is None for pid in before.values()), timeout_s=3
    )
    left = processes.marked_members(home.root)
    assert len(left) == 1  # a child that does not watch its owner waits for the sweep
    up(home, *both)
    assert not left[0].alive()
    assert all(answers(service) for service in both)
    assert len(processes.marked_members(home.root)) == 3


def test_a_taken_port_is_named_with_its_holder_before_anything_starts(home: Home) -> None:
    one = server("one", free_port())
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", one.port))
        holder.listen()
        with pytest.raises(ServiceError, match=rf"port {one.port}.*one.*pid {os.getpid()}"):
            up(home, server("zero", free_port()), one)
    assert processes.marked_members(home.root) == []
    assert control.status(home) == "not running"


def test_a_server_that_cannot_start_is_named_with_its_log_and_all_stop(home: Home) -> None:
    good = server("good", free_port())
    bad = Service("bad", (sys.executable, "-c", "raise SystemExit('no model')"), free_port(), "/")
    with pytest.raises(ServiceError, match=r"(?s)bad ended with code 1 while starting.*no model"):
        up(home, good, bad)
    assert not answers(good)
    assert processes.marked_members(home.root) == []


def test_a_program_that_is_not_there_is_named(home: Home) -> None:
    missing = Service("missing", ("/nowhere/python", PORT), free_port(), "/")
    with pytest.raises(ServiceError, match=r"missing could not be started.*/nowhere/python"):
        up(home, missing)


def test_a_server_that_never_answers_is_given_up(home: Home) -> None:
    mute = Service("mute", (sys.executable, "-c", "import time; time.sleep(99)"), free_port(), "/")
    with pytest.raises(ServiceError, match="mute was not healthy in time"):
        up(home, mute, timing=replace(QUICK, start_s=1))
    assert processes.marked_members(home.root) == []


@pytest.mark.slow
def test_one_that_ignores_sigterm_is_killed(home: Home) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    stubborn += "import http.server, sys; http.server.ThreadingHTTPServer(('127.0.0.1', "
    stubborn += "int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()"
    service = Service("stubborn", (sys.executable, "-c", stubborn, PORT), free_port(), "/")
    up(home, service)
    start = time.monotonic()
    assert control.down(home)
    assert time.monotonic() - start < 15
    assert not answers(service)


def test_a_stranger_with_the_same_pid_is_not_touched() -> None:
    me = processes.identity(os.getpid())
    assert me is not None
    earlier = processes.Identity(me.pid, me.started - 1)
    assert not earlier.alive()
    processes.stop([earlier], grace_s=0.1)  # this test would end here


def test_nothing_live_says_what_to_run(home: Home) -> None:
    with pytest.raises(NotFound, match="no encoder is live in environment 'local'"):
        control.up(home)


FOREGROUND = """
import sys
from tastemaker.core.home import Home
from tastemaker.serving import control
from tests.tastemaker.serving.small_servers import Asked, QUICK, server
control.run(
    Home.open(sys.argv[1]),
    Asked(services=(server("one", int(sys.argv[2])),), timing=QUICK),
    background=False,
)
"""


def test_ctrl_c_in_the_foreground_stops_all(home: Home) -> None:
    one = server("one", free_port())
    words = [str(home.root), str(one.port)]
    process = subprocess.Popen([sys.executable, "-c", FOREGROUND, *words])
    try:
        assert eventually(lambda: "ready" in control.status(home))
        assert eventually(lambda: answers(one))
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    finally:
        process.kill()
    assert not answers(one)
    assert control.status(home) == "not running"


def test_two_ups_at_once_end_with_one_set_of_servers(home: Home) -> None:
    both = [server("one", free_port()), server("two", free_port())]
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(up, home, *both) for _ in range(2)]
        for future in futures:
            future.result()
    assert all(answers(service) for service in both)
    assert len(processes.marked_members(home.root)) == 2
