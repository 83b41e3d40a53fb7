"""The supervisor with small real servers: Python's own HTTP server in a process each."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tastemaker.core.errors import NotFound, ServiceError
from tastemaker.core.home import Home
from tastemaker.serving import processes, supervisor
from tastemaker.serving.services import Service
from tests.tastemaker.serving.conftest import free_port

SERVER = """
import http.server, subprocess, sys
port, child = int(sys.argv[1]), sys.argv[2]
if child != "none":
    subprocess.Popen(["sleep", child])
http.server.ThreadingHTTPServer(
    ("127.0.0.1", port), http.server.SimpleHTTPRequestHandler
).serve_forever()
"""


def server(name: str, child: str = "none") -> Service:
    port = free_port()
    return Service(name, (sys.executable, "-c", SERVER, str(port), child), port, "/")


def answers(service: Service) -> bool:
    try:
        return httpx.get(service.url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def eventually(what: Callable[[], bool], timeout_s: float = 15) -> bool:
    until = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def pids(home: Home) -> dict[str, int]:
    state = supervisor._state(home)
    return {name: server["pid"] for name, server in state["processes"].items()}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(str(tmp_path / "home"))
    yield home
    supervisor.down(home)
    assert processes.marked_members(home.root) == []


def test_up_waits_until_all_answer_and_down_leaves_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [server("one"), server("two", child="1000")]
    supervisor.run(home, both)
    assert all(answers(service) for service in both)
    assert "one: ready after" in capsys.readouterr().err
    table = supervisor.status(home).splitlines()
    assert [line.split()[:2] for line in table[1:3]] == [["one", "ready"], ["two", "ready"]]
    assert len(processes.marked_members(home.root)) == 3  # with the child of `two`
    assert supervisor.down(home)
    assert not any(answers(service) for service in both)
    assert processes.marked_members(home.root) == []
    assert supervisor.status(home) == "not running"
    assert not supervisor.down(home)


def test_up_again_keeps_equal_services_and_restarts_changed_ones(home: Home) -> None:
    one = server("one")
    supervisor.run(home, [one])
    before = pids(home)
    supervisor.run(home, [one])
    assert pids(home) == before
    changed = Service("one", (*one.command, "another bundle"), one.port, "/")
    supervisor.run(home, [changed])
    assert pids(home) != before
    assert answers(changed)


def test_a_crashed_server_is_restarted_whole(home: Home) -> None:
    one = server("one", child="1000")
    supervisor.run(home, [one])
    first = pids(home)["one"]
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: pids(home)["one"] not in (0, first) and answers(one))
    assert eventually(lambda: "ready" in supervisor.status(home))
    assert supervisor.status(home).splitlines()[1].split()[-1] == "1"  # restarts
    assert processes.session_members(first) == []  # its child went with it


def test_a_killed_supervisor_takes_its_servers_along(home: Home) -> None:
    both = [server("one"), server("two", child="1000")]
    supervisor.run(home, both)
    leader = supervisor._state(home)["pid"]
    os.kill(leader, signal.SIGKILL)
    assert eventually(lambda: not any(answers(service) for service in both), timeout_s=3)
    left = processes.marked_members(home.root)
    assert len(left) == 1  # a child that does not watch its owner waits for the sweep
    assert supervisor.down(home)
    assert not left[0].alive()
    supervisor.run(home, both)
    assert all(answers(service) for service in both)


def test_a_taken_port_is_named_with_its_holder_before_anything_starts(home: Home) -> None:
    one = server("one")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", one.port))
        holder.listen()
        with pytest.raises(ServiceError, match=rf"port {one.port}.*one.*pid {os.getpid()}"):
            supervisor.run(home, [server("zero"), one])
    assert processes.marked_members(home.root) == []


def test_a_server_that_cannot_start_is_named_with_its_log_and_all_stop(home: Home) -> None:
    good = server("good")
    bad = Service("bad", (sys.executable, "-c", "raise SystemExit('no model')"), free_port(), "/")
    with pytest.raises(ServiceError, match=r"(?s)bad ended with code 1 while starting.*no model"):
        supervisor.run(home, [good, bad])
    assert not answers(good)
    assert processes.marked_members(home.root) == []


def test_a_server_that_never_answers_is_given_up(home: Home) -> None:
    mute = Service("mute", (sys.executable, "-c", "import time; time.sleep(99)"), free_port(), "/")
    with pytest.raises(ServiceError, match="mute was not healthy in time"):
        supervisor.run(home, [mute], timeout_s=1)
    assert processes.marked_members(home.root) == []


@pytest.mark.slow
def test_one_that_ignores_sigterm_is_killed(home: Home) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER
    port = free_port()
    service = Service("stubborn", (sys.executable, "-c", stubborn, str(port), "none"), port, "/")
    supervisor.run(home, [service])
    start = time.monotonic()
    assert supervisor.down(home)
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
        supervisor.up(home)


FOREGROUND = """
import json, sys
from tastemaker.core.home import Home
from tastemaker.serving import supervisor
from tastemaker.serving.services import Service
home, command, port = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
supervisor.run(Home.open(home), [Service("one", tuple(command), port, "/")], background=False)
"""


def test_ctrl_c_in_the_foreground_stops_all(home: Home) -> None:
    one = server("one")
    words = [str(home.root), json.dumps(one.command), str(one.port)]
    process = subprocess.Popen([sys.executable, "-c", FOREGROUND, *words])
    try:
        assert eventually(lambda: "ready" in supervisor.status(home))
        assert answers(one)
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    finally:
        process.kill()
    assert not answers(one)
    assert supervisor.status(home) == "not running"


def test_two_ups_at_once_end_with_one_set_of_servers(home: Home) -> None:
    both = [server("one"), server("two")]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(supervisor.run, home, both)
        assert eventually(lambda: supervisor._supervisor(home) is not None)
        second = pool.submit(supervisor.run, home, both)
        first.result()
        second.result()
    assert all(answers(service) for service in both)
    assert len(processes.marked_members(home.root)) == 2
