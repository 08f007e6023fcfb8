"""What clients of supervisord do to fathom beside supervisorctl's commands: they follow logs, poll,
wait, and send nonsense."""

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
import xmlrpc.client

from supervisor_rig import PATIENCE_S, SLEEP, SUPERVISORCTL, TREE, Fathom, Service, until
from supervisorctl import Checks

# One line, for the configuration of supervisord.
TICKER = (
    "import time, itertools; "
    "all(print(n, time.time(), flush=True) or not time.sleep(0.02) for n in itertools.count())"
)
CALL = (
    "<?xml version='1.0'?><methodCall><methodName>supervisor.getAllProcessInfo</methodName>"
    "</methodCall>"
)


@contextlib.contextmanager
def following(daemon, *words):
    """Runs a command of supervisorctl that does not end; gives what it prints, until it is late."""
    command = [SUPERVISORCTL, "-c", "client.conf", *daemon.login, *words]
    # Leaves the configuration of the client behind.
    daemon.ctl("status")
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    follower = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=daemon.folder, env=environment
    )
    late = threading.Timer(2 * PATIENCE_S, follower.kill)
    late.start()
    try:
        assert follower.stdout.readline() == "==> Press Ctrl-C to exit <==\n"
        yield follower.stdout
    finally:
        late.cancel()
        follower.kill()
        follower.wait()


def ticks(lines, count, since):
    """Returns the numbers of so many ticks that were written after a moment, and how old each was."""
    ages, numbers = [], []
    for line in lines:
        found = re.fullmatch(r"(\d+) (\d+\.\d+)\n", line)
        # The first line may be cut, and what was written before is old.
        if found and float(found[2]) > since:
            ages.append(time.time() - float(found[2]))
            numbers.append(int(found[1]))
        if len(numbers) == count:
            break
    assert len(numbers) == count, f"{len(numbers)} lines, then nothing"
    assert numbers == list(range(numbers[0], numbers[0] + count)), numbers
    return ages


def log_is_followed(daemon):
    """tail -f shows lines within 0.2 s of their writing, each once, across rotations"""
    with following(daemon, "tail", "-f", "ticker") as lines:
        ages = ticks(lines, 300, time.time() + 0.2)
    ages.sort()
    print(f"   lines were {ages[150]:.3f} s old in the middle, {ages[-1]:.3f} s at most")
    # One in a hundred may be late on a busy machine.
    assert ages[296] <= 0.2, ages[-10:]


def logs_are_followed_by(way):
    """tail -f shows every line, and maintail -f what the daemon does"""
    daemon = Fathom(way)
    try:
        daemon.start({
            "ticker": Service([sys.executable, "-c", TICKER], log_max=2000),
            "manual": Service(SLEEP, autostart=False),
        })
        until(lambda: "RUNNING" in daemon.ctl("status", "ticker")[0], "it ticks")
        with following(daemon, "tail", "-f", "ticker") as lines:
            ticks(lines, 100, time.time())
        with following(daemon, "maintail", "-f") as lines:
            daemon.ctl("start", "manual")
            assert any("manual" in line and "RUNNING" in line for line in lines), "nothing of it"
    finally:
        daemon.end()


def logs_over_http(daemon):
    """logs over HTTP: found, not found, wrongly asked for"""
    def status(path, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        found = answer.status, answer.headers
        connection.close()
        return found

    code, headers = status("/logtail/tools%3Ateller/stdout")
    assert code == 200 and headers["Content-Type"] == "text/plain;charset=utf-8", headers
    assert headers["Transfer-Encoding"] == "chunked" and headers["Content-Length"] is None
    assert status("/logtail/tools:teller/stderr")[0] == 200
    assert status("/mainlogtail")[0] == 200
    for path in ("/logtail/nosuch", "/logtail/nofile", "/logtail/tools:teller/nosuch"):
        assert status(path)[0] == 404, path
    assert status("/logtail/tools:teller", "POST")[0] in (400, 401)


def polling(daemon):
    """1000 polls of 200 services on one connection, and by four clients at once"""
    address = ("127.0.0.1", daemon.port)

    def poll(times, durations):
        connection = http.client.HTTPConnection(*address, timeout=30)
        for _ in range(times):
            begun = time.perf_counter()
            connection.request("POST", "/RPC2", CALL, {"Content-Type": "text/xml"})
            answer = connection.getresponse()
            body = answer.read()
            durations.append(time.perf_counter() - begun)
            assert answer.status == 200 and body.count(b"<name>statename</name>") >= 200
        connection.close()

    def report(what, durations, elapsed):
        durations.sort()
        late = durations[len(durations) * 99 // 100] * 1000
        print(f"   {what}: {len(durations) / elapsed:.0f} per s, p99 {late:.1f} ms")

    alone = []
    begun = time.perf_counter()
    poll(1000, alone)
    report("one client", alone, time.perf_counter() - begun)
    shared = []
    clients = [threading.Thread(target=poll, args=(250, shared)) for _ in range(4)]
    begun = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(shared) == 1000
    report("four clients", shared, time.perf_counter() - begun)


def long_start(daemon):
    """a start that takes 30 s delays nobody, and a stop ends it"""
    faults = []

    def start():
        try:
            daemon.proxy().supervisor.startProcess("late")
        except xmlrpc.client.Fault as fault:
            faults.append(fault.faultCode)

    starting = threading.Thread(target=start)
    starting.start()
    proxy = daemon.proxy().supervisor
    until(lambda: proxy.getProcessInfo("late")["pid"], "it has a process")
    longest = 0
    for _ in range(100):
        begun = time.perf_counter()
        proxy.getAllProcessInfo()
        longest = max(longest, time.perf_counter() - begun)
    assert longest < 1, longest
    assert starting.is_alive()
    assert proxy.stopProcess("late") is True
    starting.join(10)
    assert faults == [40], faults


def many_calls_in_one(daemon):
    """system.multicall returns bare values and faults"""
    proxy = daemon.proxy()
    calls = [
        {"methodName": "supervisor.getAPIVersion", "params": []},
        {"methodName": "supervisor.getState"},
        {"methodName": "supervisor.getProcessInfo", "params": ["nosuch"]},
        {"methodName": "system.multicall", "params": [[]]},
        {},
    ]
    version, state, unknown, again, nameless = proxy.system.multicall(calls)
    assert version == "3.0" and state == {"statecode": 1, "statename": "RUNNING"}
    assert unknown == {"faultCode": 10, "faultString": "BAD_NAME: nosuch"}
    assert again["faultCode"] == 2 and nameless["faultCode"] == 2
    methods = proxy.system.listMethods()
    assert len(methods) == 41 and methods == sorted(methods)
    signature = proxy.system.methodSignature("supervisor.startProcess")
    assert signature == ["boolean", "string", "boolean"]
    # Some clients send a number for yes.
    assert fault_of(proxy.supervisor.startProcess, "webserver", 1) == 60
    assert fault_of(proxy.supervisor.startProcess) == 2
    assert fault_of(proxy.supervisor.readProcessStdoutLog, "tools:teller", -5, 3) == 3
    assert proxy.supervisor.tailProcessStdoutLog("tools:teller", 0, 6) == ["three\n", 14, True]


def fault_of(method, *arguments):
    try:
        return method(*arguments)
    except xmlrpc.client.Fault as fault:
        return fault.faultCode


def nonsense(daemon):
    """nonsense is refused, and harms nobody"""
    def send(body, head=b""):
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=30) as client:
            client.sendall(
                head or b"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n"
                + f"Content-Length: {len(body)}\r\n\r\n".encode()
            )
            try:
                client.sendall(body)
            except OSError:
                pass  # refused before it was read
            try:
                return client.recv(4096).decode()
            except OSError:
                return ""

    def call(method):
        return f"<methodCall><methodName>{method}</methodName></methodCall>".encode()

    for body in (os.urandom(2000), b"", b"<methodCall><methodName>a.b", b"<methodCall/>"):
        assert send(body).startswith("HTTP/1.1 400"), body[:40]
    refusal = send(b" " * (10 << 20))
    assert refusal == "" or refusal.startswith("HTTP/1.1 413"), refusal
    deep = b"<value><array><data>" * 20000
    assert send(b"<methodCall><methodName>a.b</methodName><params><param>" + deep).startswith(
        "HTTP/1.1 400"
    )
    for method in ("supervisor.__class__", "a.b.c", "supervisor", "supervisor._update", "."):
        answer = send(call(method))
        assert "200 OK" in answer and "UNKNOWN_METHOD" in answer, (method, answer)
    old = send(call("supervisor.getPID"), b"POST /RPC2/ HTTP/1.0\r\nContent-Type: text/xml\r\n"
               + f"Content-Length: {len(call('supervisor.getPID'))}\r\n\r\n".encode())
    assert old.startswith("HTTP/1.0 200"), old
    assert send(b"", b"GET /RPC2 HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith("HTTP/1.1 400")
    assert daemon.proxy().supervisor.getAPIVersion() == "3.0"


def main():
    tree = dict(
        TREE,
        ticker=Service([sys.executable, "-c", TICKER], log_max=2000),
        late=Service(SLEEP, autostart=False, ready_s=30),
        **{f"n{number:03}": Service(SLEEP, group="many") for number in range(200)},
    )
    daemon, checks = Fathom("tcp"), Checks()
    try:
        daemon.start(tree)
        running = lambda: daemon.ctl("status")[0].count("RUNNING") >= 207
        until(running, "200 services run")
        for work in (
            log_is_followed, logs_over_http, polling, long_start, many_calls_in_one, nonsense
        ):
            checks.check(work.__doc__, lambda: work(daemon))
    finally:
        daemon.end()
    for way, words in (("unix", "the Unix socket"), ("auth", "TCP with a password")):
        what = f"{logs_are_followed_by.__doc__}, over {words}"
        checks.check(what, lambda: logs_are_followed_by(way))
    return checks.report()


if __name__ == "__main__":
    sys.exit(main())
