"""The same tree of services under fathom and under supervisord, and the real supervisorctl."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from pathlib import Path

PATIENCE_S = 30
SUPERVISORCTL = str(Path(sys.executable).with_name("supervisorctl"))
SUPERVISORD = str(Path(sys.executable).with_name("supervisord"))
USER, PASSWORD = "shift", "deep sea"

# Ignores SIGHUP, so that it can be sent without harm.
SLEEP = ["sh", "-c", "trap '' HUP; exec sleep 1000"]


class Service:
    """One service, in words that both configurations can be made of."""

    def __init__(
        self, command, group=None, autostart=True, once=False, own_stderr=False, log_max=None,
        ready_s=1, log=True,
    ):
        self.command, self.group = command, group
        self.autostart, self.once, self.own_stderr = autostart, once, own_stderr
        self.log_max, self.ready_s, self.log = log_max, ready_s, log

    def toml(self, name):
        lines = [f"[service.{name}]", f"command = {json.dumps(self.command)}"]
        if self.group:
            lines.append(f'group = "{self.group}"')
        if not self.autostart:
            lines.append("autostart = false")
        if self.once:
            lines += ['restart = "never"', 'ready = "spawn"']
        else:
            lines += [f'ready = "secs:{self.ready_s}"', 'ready_timeout = "1m"']
        if self.own_stderr:
            lines.append('log = { stderr = "separate" }')
        if self.log_max:
            lines.append(f'log = {{ max = "{self.log_max}B" }}')
        lines.append('budget = { restarts = 1, period = "5m" }')
        return "\n".join(lines)

    def ini(self, name):
        command = " ".join(f"'{w}'" if "'" not in w else f'"{w}"' for w in self.command)
        return "\n".join([
            f"[program:{name}]",
            f"command={command}",
            f"autostart={str(self.autostart).lower()}",
            "startretries=1",
            "startsecs=0\nautorestart=false"
            if self.once
            else f"startsecs={self.ready_s}\nautorestart=true",
            f"stdout_logfile_maxbytes={self.log_max or 0}",
            # Ours has none before its first output.
            f"stdout_logfile={'AUTO' if self.log else 'NONE'}",
            f"redirect_stderr={str(not self.own_stderr).lower()}",
        ])


TREE = {
    "ligier": Service(SLEEP, group="ligiers"),
    "mirror": Service(SLEEP, group="ligiers"),
    "rates": Service(SLEEP, group="monitoring"),
    "plots": Service(SLEEP, group="monitoring"),
    "echo": Service(["cat"], group="tools"),
    "teller": Service(
        ["sh", "-c", "echo one; echo two; echo oops >&2; echo three; exec sleep 1000"],
        group="tools",
        own_stderr=True,
    ),
    "webserver": Service(SLEEP),
    "manual": Service(SLEEP, autostart=False),
    "crasher": Service(["sh", "-c", "exit 3"]),
    "oneshot": Service(["true"], once=True),
    "nofile": Service(["/no/such/binary"], autostart=False, log=False),
}


class Daemon:
    """A supervisor as a process, with a tree of its own."""

    def __init__(self, way):
        self.way = way
        # Short: the path of a Unix socket has little room.
        self.folder = Path(tempfile.mkdtemp(prefix="rpc-", dir="/tmp"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None

    @property
    def url(self):
        return f"unix://{self.socket}" if self.way == "unix" else f"http://127.0.0.1:{self.port}"

    @property
    def login(self):
        return ["-u", USER, "-p", PASSWORD] if self.way == "auth" else []

    def start(self, tree, more=""):
        self.configure(tree, more)
        log = open(self.folder / "daemon.log", "ab")
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder)
        until(self.listens, "the daemon listens")

    def listens(self):
        if self.process.poll() is not None:
            raise AssertionError("it ended:\n" + (self.folder / "daemon.log").read_text())
        with socket.socket() as probe:
            return self.socket.exists() and probe.connect_ex(("127.0.0.1", self.port)) == 0

    def ctl(self, *words, stdin=None):
        """Runs supervisorctl; returns what it printed and its exit code."""
        client = f"[supervisorctl]\nserverurl={self.url}\n"
        (self.folder / "client.conf").write_text(client)
        ran = subprocess.run(
            [SUPERVISORCTL, "-c", "client.conf", *self.login, *words],
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
        )
        return ran.stdout + ran.stderr, ran.returncode

    def proxy(self):
        """Returns a client of the methods themselves, with one connection of its own."""
        login = f"{USER}:{PASSWORD}@".replace(" ", "%20") if self.way == "auth" else ""
        address = f"http://{login}127.0.0.1:{self.port}/RPC2"
        return xmlrpc.client.ServerProxy(address)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Fathom(Daemon):
    name = "fathom"

    @property
    def socket(self):
        return self.folder / "data" / "fathom.sock"

    def command(self):
        return [os.environ["FATHOM_BIN"], "up", "-c", str(self.folder / "supervisor.toml")]

    def configure(self, tree, more=""):
        rights = "rpc_open = true"
        if self.way == "auth":
            hashed = subprocess.run(
                [os.environ["FATHOM_BIN"], "hash-password"],
                input=PASSWORD,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            rights = f'user = "{USER}"\npassword_hash = "{hashed}"'
        groups = sorted({service.group for service in tree.values() if service.group})
        parts = [
            f'[stack]\nname = "interop"\ndata_dir = "{self.folder}/data"',
            f'[control]\nlisten = "127.0.0.1:{self.port}"\n{rights}',
            *(f"[group.{group}]" for group in groups),
            *(service.toml(name) for name, service in tree.items()),
            more,
        ]
        (self.folder / "supervisor.toml").write_text("\n\n".join(parts) + "\n")

    def spoil(self):
        with open(self.folder / "supervisor.toml", "a") as config:
            config.write("[service.broken]\nnonsense = 1\n")


class Supervisord(Daemon):
    name = "supervisord"

    @property
    def socket(self):
        return self.folder / "supervisor.sock"

    def command(self):
        return [SUPERVISORD, "-n", "-c", str(self.folder / "supervisord.conf")]

    def configure(self, tree, more=""):
        login = f"username={USER}\npassword={PASSWORD}" if self.way == "auth" else ""
        groups = {}
        for name, service in tree.items():
            if service.group:
                groups.setdefault(service.group, []).append(name)
        parts = [
            f"[unix_http_server]\nfile={self.socket}",
            f"[inet_http_server]\nport=127.0.0.1:{self.port}\n{login}",
            f"[supervisord]\nlogfile={self.folder}/main.log\npidfile={self.folder}/pid\n"
            f"childlogdir={self.folder}",
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = "
            "supervisor.rpcinterface:make_main_rpcinterface",
            *(service.ini(name) for name, service in tree.items()),
            *(f"[group:{name}]\nprograms={','.join(them)}" for name, them in groups.items()),
            more,
        ]
        (self.folder / "supervisord.conf").write_text("\n\n".join(parts) + "\n")

    def spoil(self):
        with open(self.folder / "supervisord.conf", "a") as config:
            config.write("[program:broken]\nnonsense = 1\n")


def until(condition, what):
    """Waits until something is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.05)


def plain(text):
    """Puts letters where process ids, times and addresses stand."""
    for pattern, letter in [
        (r"pid \d+", "pid N"),
        (r"uptime (\d+ days?, )?\d+:\d\d:\d\d", "uptime U"),
        (r"[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M", "DATE"),
        (r"(?m)^\d+$", "N"),
        (r"\d+:\d+(?=\n)", "P:P"),
    ]:
        text = re.sub(pattern, letter, text)
    return text
