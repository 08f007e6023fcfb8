"""What the checks need: the broker as a process, the dumps, and a way to run checks."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import km3net_testdata
from km3pipe.controlhost import Message

PATIENCE_S = 30
CONFIG = """
[stack]
name = "interop"
data_dir = "{data}"

[group.ligiers]

[service.ligier]
group = "ligiers"
kind = "ligier"
listen = "127.0.0.1:{port}"
"""


class Broker:
    """A stack with nothing but a ligier, always on the same port."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="interop-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.config = self.folder / "supervisor.toml"
        self.config.write_text(CONFIG.format(data=self.folder / "data", port=self.port))
        self.process = None
        # Clear from the moment the broker is told to end until another one listens.
        self.is_there = threading.Event()

    def start(self):
        log = open(self.folder / "fathom.log", "ab")
        command = [os.environ["FATHOM_BIN"], "up", "-c", str(self.config)]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self.listens, "the broker listens")
        self.is_there.set()

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError("fathom ended:\n" + (self.folder / "fathom.log").read_text())
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, how=signal.SIGTERM):
        self.is_there.clear()
        self.process.send_signal(how)
        self.process.wait(PATIENCE_S)

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        self.start()


def until(condition, what):
    """Waits until something is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.02)


def settled(client):
    """Waits until the broker has read all that a client sent: it answers `_WhereIs` only."""
    client.socket.sendall(Message(b"_WhereIs", b"nobody").data)
    answer = b""
    while len(answer) < 16:
        answer += client.socket.recv(16 - len(answer))
    assert answer == b"_WhereIs" + bytes(8), answer


def dump(name):
    """Returns the bodies of a dump, in order."""
    raw = Path(km3net_testdata.data_path(f"daq/{name}.dat")).read_bytes()
    bodies, at = [], 0
    while at < len(raw):
        (length,) = struct.unpack_from("<i", raw, at)
        # Monitoring packets do not hold their length, the others do.
        start, end = (at + 4, at + 4 + length) if name == "IO_MONIT" else (at, at + length)
        bodies.append(raw[start:end])
        at = end
    return bodies


class Background(threading.Thread):
    """Runs a function beside the check and hands over what it returned or raised."""

    def __init__(self, function):
        super().__init__(daemon=True)
        self.function, self.value, self.error = function, None, None
        self.start()

    def run(self):
        try:
            self.value = self.function()
        except BaseException as error:  # shown by result()
            self.error = error

    def result(self):
        self.join(PATIENCE_S)
        if self.is_alive():
            raise AssertionError(f"still not done after {PATIENCE_S} s")
        if self.error is not None:
            raise self.error
        return self.value


def run_checks(checks):
    """Runs all checks, each with a broker of its own; returns the exit code."""
    passed = failed = 0
    for check in checks:
        name = check.__doc__.strip()
        broker = Broker()
        try:
            broker.start()
            check(broker)
            shutil.rmtree(broker.folder, ignore_errors=True)
            print(f"ok: {name}", flush=True)
            passed += 1
        except BaseException:
            traceback.print_exc()
            print(f"the log of fathom is in {broker.folder}", file=sys.stderr)
            print(f"FAILED: {name}", flush=True)
            failed += 1
        finally:
            if broker.process is not None and broker.process.poll() is None:
                broker.process.kill()
                broker.process.wait()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def in_child(source, *arguments):
    """Starts a Python program with the same packages."""
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
