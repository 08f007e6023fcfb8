"""The real supervisorctl against fathom, every command; `--reference` runs the same against the real
supervisord, which shows that the texts expected here are the right ones."""

import sys
import traceback

from supervisor_rig import TREE, Fathom, Service, Supervisord, plain, until

WELL = "RUNNING   pid N, uptime U"
AT_START = f"""\
crasher                          FATAL     Exited too quickly (process log may have details)
ligiers:ligier                   {WELL}
ligiers:mirror                   {WELL}
manual                           STOPPED   Not started
monitoring:plots                 {WELL}
monitoring:rates                 {WELL}
nofile                           STOPPED   Not started
oneshot                          EXITED    DATE
tools:echo                       {WELL}
tools:teller                     {WELL}
webserver                        {WELL}
"""
AVAILABLE = """\
crasher                          in use    auto      P:P
ligiers:ligier                   in use    auto      P:P
ligiers:mirror                   in use    auto      P:P
manual                           in use    manual    P:P
monitoring:plots                 in use    auto      P:P
monitoring:rates                 in use    auto      P:P
nofile                           in use    manual    P:P
oneshot                          in use    auto      P:P
tools:echo                       in use    auto      P:P
tools:teller                     in use    auto      P:P
webserver                        in use    auto      P:P
"""

# Command, what it prints (lines of several services in any order), exit code.
LOOKING = [
    ("status", AT_START, 3),
    ("status webserver", f"webserver                        {WELL}\n", 0),
    ("status manual", "manual                           STOPPED   Not started\n", 3),
    ("status nosuch", "nosuch: ERROR (no such process)\n", 4),
    ("status nosuch:*", "nosuch: ERROR (no such group)\n", 4),
    (
        "status ligiers:*",
        f"ligiers:ligier                   {WELL}\nligiers:mirror                   {WELL}\n",
        0,
    ),
    ("pid", "N\n", 0),
    ("pid webserver", "N\n", 0),
    ("pid manual", "N\n", 7),
    ("pid nosuch", "No such process nosuch\n", 1),
    ("pid all", "N\n" * 11, 0),
    ("avail", AVAILABLE, 0),
    ("bogus", "*** Unknown syntax: bogus\n", 1),
]
STEERING = [
    ("start manual", "manual: started\n", 0),
    ("start manual", "manual: ERROR (already started)\n", 0),
    ("start crasher", "crasher: ERROR (spawn error)\n", 7),
    ("start nofile", "nofile: ERROR (no such file)\n", 1),
    ("start nosuch", "nosuch: ERROR (no such process)\n", 1),
    ("start ligiers:*", "", 0),
    ("start nosuch:*", "nosuch: ERROR (no such group)\n", 2),
    ("stop manual", "manual: stopped\n", 0),
    ("stop manual", "manual: ERROR (not running)\n", 0),
    ("stop nosuch", "nosuch: ERROR (no such process)\n", 1),
    ("stop nosuch:*", "nosuch: ERROR (no such group)\n", 1),
    ("status manual", "manual                           STOPPED   DATE\n", 3),
    ("restart webserver", "webserver: stopped\nwebserver: started\n", 0),
    ("restart manual", "manual: ERROR (not running)\nmanual: started\n", 0),
    ("stop ligiers:*", "ligiers:ligier: stopped\nligiers:mirror: stopped\n", 0),
    ("start ligiers:*", "ligiers:ligier: started\nligiers:mirror: started\n", 0),
    (
        "restart ligiers:*",
        "ligiers:ligier: stopped\nligiers:mirror: stopped\n"
        "ligiers:ligier: started\nligiers:mirror: started\n",
        0,
    ),
    ("restart nosuch", "nosuch: ERROR (no such process)\nnosuch: ERROR (no such process)\n", 1),
    ("signal HUP webserver", "webserver: signalled\n", 0),
    ("signal 1 webserver", "webserver: signalled\n", 0),
    ("signal SIGHUP ligiers:*", "ligiers:ligier: signalled\nligiers:mirror: signalled\n", 0),
    ("signal NONSENSE webserver", "webserver: ERROR (bad signal name)\n", 1),
    ("signal HUP nofile", "nofile: ERROR (not running)\n", 7),
    ("signal HUP nosuch", "nosuch: ERROR (no such process)\n", 1),
    ("stop manual", "manual: stopped\n", 0),
]
LOGS = [
    ("tail tools:teller", "one\ntwo\nthree\n\n", 0),
    ("tail tools:teller stdout", "one\ntwo\nthree\n\n", 0),
    ("tail tools:teller stderr", "oops\n\n", 0),
    ("tail -6 tools:teller", "three\n\n", 0),
    ("tail nosuch", "nosuch: ERROR (no such process name)\n", 1),
    ("tail nofile", "nofile: ERROR (no log file)\n", 1),
    # It has written nothing yet.
    ("tail webserver", "\n", 0),
    ("clear tools:teller", "tools:teller: cleared\n", 0),
    ("tail tools:teller", "\n", 0),
    ("clear nosuch", "nosuch: ERROR (no such process)\n", 1),
    ("clear all", "".join(
        f"{service.group + ':' if service.group else ''}{name}: cleared\n"
        for name, service in TREE.items()
    ), 0),
    ("fg nosuch", "ERROR: bad process name supplied\n", 1),
    ("fg nofile", "ERROR: process not running\n", 1),
]

CHANGED = dict(TREE, webserver=Service(["sleep", "1001"]), added=Service(["sleep", "1002"]))
del CHANGED["crasher"]
RELOADING = [
    ("reread", "No config updates to processes\n", 0),
    ("add webserver", "ERROR: process group already active\n", 0),
    ("add nosuch", "ERROR: no such process/group: nosuch\n", 1),
    ("remove nosuch", "ERROR: no such process/group: nosuch\n", 1),
    ("remove webserver", "ERROR: process/group still running: webserver\n", 1),
    (CHANGED, None, None),
    ("reread", "added: available\ncrasher: disappeared\nwebserver: changed\n", 0),
    (
        "update",
        "crasher: stopped\ncrasher: removed process group\nwebserver: stopped\n"
        "webserver: updated process group\nadded: added process group\n",
        0,
    ),
    ("reread", "No config updates to processes\n", 0),
    ("stop added", "added: stopped\n", 0),
    ("remove added", "added: removed process group\n", 0),
    ("status added", "added: ERROR (no such process)\n", 4),
    ("add added", "added: added process group\n", 0),
    ("update", "", 0),
    (TREE, None, None),
    ("update added crasher", "added: stopped\nadded: removed process group\n"
     "crasher: added process group\n", 0),
]


class Checks:
    """Counts what passed and what failed."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, work):
        try:
            work()
            print(f"ok: {name}", flush=True)
            self.passed += 1
        except BaseException:
            traceback.print_exc()
            print(f"FAILED: {name}", flush=True)
            self.failed += 1

    def report(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def settled(daemon):
    """Waits until nothing changes by itself any more."""
    def is_settled():
        text, _ = daemon.ctl("status")
        moving = any(word in text for word in ("STARTING", "BACKOFF", "STOPPING"))
        return "webserver" in text and not moving
    until(is_settled, "all states are settled")


def walk(daemon, steps):
    wrong = []
    for command, expected, code in steps:
        if isinstance(command, dict):
            daemon.configure(command)
            continue
        text, ended = daemon.ctl(*command.split())
        text = plain(text)
        if expected is not None and sorted(text.splitlines()) != sorted(expected.splitlines()):
            wrong.append(f"$ {command}\nexpected:\n{expected}got:\n{text}")
        if code is not None and ended != code:
            wrong.append(f"$ {command}\nexpected exit {code}, got {ended}:\n{text}")
    assert not wrong, "\n" + "\n".join(wrong)


def looks(daemon):
    walk(daemon, LOOKING)
    text, _ = daemon.ctl("status")
    assert plain(text) == AT_START, text
    text, code = daemon.ctl("version")
    assert (code, bool(text.strip())) == (0, True), text


def all_at_once(daemon):
    text, code = daemon.ctl("stop", "all")
    assert code == 0 and text.count(": stopped") == 7, text
    text, code = daemon.ctl("start", "all")
    assert code == 7 and "crasher: ERROR (spawn error)\n" in text, text
    assert "nofile: ERROR (no such file)\n" in text and text.count(": started") == 9, text
    text, code = daemon.ctl("signal", "HUP", "all")
    assert code == 0 and "webserver: signalled\n" in text, text
    settled(daemon)
    for words in (("start",), ("stop",), ("signal", "HUP"), ("signal",)):
        text, code = daemon.ctl(*words)
        assert code in (1, 2) and text.startswith("Error: "), (words, code, text)


def own_log(daemon):
    text, code = daemon.ctl("maintail")
    assert code == 0 and len(text) > 100, text
    text, code = daemon.ctl("maintail", "-50")
    assert code == 0 and 0 < len(text) <= 60, text


def foreground(daemon):
    text, code = daemon.ctl("fg", "tools:echo", stdin="hello, \u00e9\n")
    log = lambda: daemon.ctl("tail", "tools:echo")[0]
    until(lambda: "hello, \u00e9\n" in log(), "the line went through the program")
    assert "==> Press Ctrl-C to exit <==" in text, text


def broken_configuration(daemon):
    daemon.spoil()
    text, code = daemon.ctl("reread")
    assert code == 1 and text.startswith("ERROR: CANT_REREAD"), (code, text)
    daemon.configure(TREE)
    text, code = daemon.ctl("reread")
    assert code == 0, (code, text)


def restarted(daemon):
    daemon.configure(CHANGED)
    text, code = daemon.ctl("reload")
    assert (text, code) == ("Restarted supervisord\n", 0), (text, code)
    up = lambda: "added" in daemon.ctl("status")[0]
    until(up, "the new configuration is in force")
    settled(daemon)


def ended(daemon):
    text, code = daemon.ctl("shutdown")
    assert (text, code) == ("Shut down\n", 0), (text, code)
    daemon.process.wait(30)
    text, code = daemon.ctl("status")
    gone = "no such file" if daemon.way == "unix" else "refused connection"
    assert gone in text and code == 4, (text, code)
    text, code = daemon.ctl("start", "webserver")
    assert gone in text and code == (7 if daemon.way == "unix" else 4), (text, code)


def unknown_people(daemon):
    if daemon.way != "auth":
        return
    daemon.way = "tcp"
    try:
        text, code = daemon.ctl("status")
        assert code == 1 and "Server requires authentication" in text, (code, text)
    finally:
        daemon.way = "auth"


def go_through(checks, kind, way):
    daemon = kind(way)
    try:
        daemon.start(TREE)
        settled(daemon)
        for work, what in [
            (looks, "states are shown"),
            (lambda d: walk(d, STEERING), "services are started, stopped and signalled"),
            (lambda d: walk(d, LOGS), "logs are shown and cleared"),
            (all_at_once, "all services at once"),
            (own_log, "the daemon's own log is shown"),
            (foreground, "a service is taken to the foreground"),
            (lambda d: walk(d, RELOADING), "the configuration is read anew and applied"),
            (broken_configuration, "a broken configuration is refused"),
            (unknown_people, "nobody gets in without a password"),
            (restarted, "everything is started afresh"),
            (ended, "the daemon is shut down"),
        ]:
            checks.check(f"{kind.name} over {way}: {what}", lambda: work(daemon))
    finally:
        daemon.end()


def main():
    kind = Supervisord if "--reference" in sys.argv else Fathom
    ways = [word for word in sys.argv[1:] if word in ("unix", "tcp", "auth")]
    checks = Checks()
    for way in ways or ("unix", "tcp", "auth"):
        go_through(checks, kind, way)
    return checks.report()


if __name__ == "__main__":
    sys.exit(main())
