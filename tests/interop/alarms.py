"""Checks of the ways alarms reach people, with the programs people run: mails with aiosmtpd as the
server, chats with the rocketchat_API and rocketchat-async clients beside ours, logbook entries with
passwords crypted by passlib, lines of the log with km3pipe."""

import asyncio
import calendar
import email
import email.policy
import json
import logging
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from km3pipe.controlhost import Client
from passlib.hash import sha256_crypt
from rocketchat_API.APIExceptions.RocketExceptions import RocketAuthenticationException
from rocketchat_API.rocketchat import RocketChat
from rocketchat_async import RocketChat as LiveChat

from rig import PATIENCE_S, settled, until

logging.disable(logging.CRITICAL)

# Gathers for a moment only and tries again soon.
QUEUE = 'queue = { gather = "200ms", retry_first = "100ms", retry_most = "500ms" }'


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stack:
    """A stack with an alarm engine and what a check adds to it."""

    def __init__(self):
        # Short: the path of a Unix socket has little room.
        self.folder = Path(tempfile.mkdtemp(prefix="alarms-", dir="/tmp"))
        self.process = None

    def start(self, sections):
        config = self.folder / "supervisor.toml"
        head = f'[stack]\nname = "interop"\ndata_dir = "{self.folder}/data"\n'
        config.write_text(head + '[service.alarms]\nkind = "alarms"\n' + sections)
        self.again()

    def again(self):
        log = open(self.folder / "fathom.log", "ab")
        command = [os.environ["FATHOM_BIN"], "up", "-c", str(self.folder / "supervisor.toml")]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self.is_ready, "all services are ready")

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError("fathom ended:\n" + (self.folder / "fathom.log").read_text())
        if not (self.folder / "data" / "fathom.sock").exists():
            return False
        status = self.ctl("status")
        services = json.loads(status.stdout)["services"] if status.returncode == 0 else []
        return services and all(service["state"] == "RUNNING" for service in services)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)

    def ctl(self, *words):
        door = str(self.folder / "data" / "fathom.sock")
        command = [os.environ["FATHOM_BIN"], "ctl", "--json", "--socket", door, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def alarm(self, by="anna"):
        tried = self.ctl("alarms", "test", "--by", by)
        assert tried.returncode == 0, tried

    def asked(self, service, verb, args=None):
        answer = self.ctl("request", service, verb, json.dumps(args))
        assert answer.returncode == 0, answer
        return json.loads(answer.stdout)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def log_lines(stack):
    """km3pipe's Client gets an alarm as a line of the log, straight from a ligier and over the bus"""
    port = free_port()
    stack.start(f"""
[service.ligier]
kind = "ligier"
listen = "127.0.0.1:{port}"

[service.to_ligier]
kind = "alarm_msg"
after = ["alarms", "ligier"]
to = "service:ligier"
{QUEUE}

[service.to_bus]
kind = "alarm_msg"
after = ["alarms", "ligier"]
{QUEUE}
""")
    client = Client("127.0.0.1", port)
    client.subscribe("MSG")
    settled(client)
    stack.alarm()
    for _ in range(2):
        prefix, line = client.get_message()
        assert str(prefix.tag) == "MSG", prefix.tag
        head, date, text = re.match(r"(ALERT \(MONITORING\)) (.{24}): (.*)", line.decode()).groups()
        assert abs(calendar.timegm(time.strptime(date)) - time.time()) < 60, date
        assert text.startswith("[alert] anna tries"), text


class Mailbox:
    """Takes mails; refuses them for now while `refusals` is above zero."""

    def __init__(self, refusals=0):
        self.refusals, self.mails = refusals, []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.refusals > 0:
            self.refusals -= 1
            return "451 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, mail))
        return "250 taken"


def mail_section(port, more=""):
    return f"""
[service.alarm_mail]
kind = "alarm_mail"
after = ["alarms"]
server = "127.0.0.1"
port = {port}
from = "Monitoring <monitoring@example.org>"
to = ["shift@example.org", "Expert <expert@example.org>"]
{QUEUE}
{more}
"""


def mails_arrive(stack):
    """aiosmtpd gets a mail whose subject is the text of the alarm"""
    port, box = free_port(), Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        stack.start(mail_section(port))
        stack.alarm()
        until(lambda: box.mails, "a mail arrives")
    finally:
        server.stop()
    sender, to, mail = box.mails[0]
    assert sender == "monitoring@example.org", sender
    assert to == ["shift@example.org", "expert@example.org"], to
    assert mail["Subject"] == "anna tries whether alarms arrive; nothing is wrong", mail["Subject"]
    assert mail["Date"] and mail["Message-ID"], mail
    assert "[alert] anna tries" in mail.get_content(), mail.get_content()


def mails_wait(stack):
    """mails wait while aiosmtpd is away, over a restart of ours, and come as one"""
    port, box = free_port(), Mailbox(refusals=2)
    stack.start(mail_section(port))
    for by in ("anna", "ben"):
        stack.alarm(by)
    until(lambda: stack.asked("alarm_mail", "queue")["failures"] >= 2, "it is tried")
    stack.stop()
    stack.again()
    stack.alarm("carl")
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        until(lambda: stack.asked("alarm_mail", "queue")["waiting"] == 0, "all are sent")
    finally:
        server.stop()
    assert len(box.mails) == 1, box.mails
    _, _, mail = box.mails[0]
    assert mail["Subject"] == "3 alarms: test", mail["Subject"]
    for by in ("anna", "ben", "carl"):
        assert f"[alert] {by} tries" in mail.get_content(), mail.get_content()


def mails_are_encrypted(stack):
    """aiosmtpd gets a mail by STARTTLS with a log-in, and a stranger's certificate is refused"""
    key, cert = stack.folder / "key.pem", stack.folder / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    make += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    make += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*make, "-keyout", key, "-out", cert], check=True, capture_output=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    port, box = free_port(), Mailbox()

    def log_in(server, session, envelope, mechanism, auth):
        known = (auth.login, auth.password) == (b"fathom", b"deep sea")
        return AuthResult(success=known)

    server = Controller(
        box, hostname="127.0.0.1", port=port, tls_context=tls, require_starttls=True,
        authenticator=log_in, auth_required=True,
    )
    server.start()
    more = 'tls = "starttls"\nusername = "fathom"\npassword = "deep sea"\n'
    section = mail_section(port, more).replace('server = "127.0.0.1"', 'server = "localhost"')
    try:
        stack.start(section)
        stack.alarm()
        until(lambda: stack.asked("alarm_mail", "queue")["trouble"], "the stranger is refused")
        trouble = stack.asked("alarm_mail", "queue")["trouble"]
        assert "certificate" in trouble.lower(), trouble
        assert not box.mails
        stack.stop()
        stack.start(section + f'ca_file = "{cert}"\n')
        until(lambda: box.mails, "a mail arrives")
    finally:
        server.stop()


def chat_section(port):
    return f"""
[service.chat]
kind = "fake_chat"
listen = "127.0.0.1:{port}"
users = {{ bot = "secret", anna = "a", carl = "c" }}
"""


def bots_section(port):
    account = f'url = "http://127.0.0.1:{port}"\nbotname = "bot"\npassword = "secret"\n'
    account += 'channel = "operations"\n'
    return f"""
[service.alarm_chat]
kind = "alarm_chat"
after = ["alarms", "chat"]
{account}{QUEUE}

[service.chatbot]
kind = "chatbot"
after = ["alarms", "chat"]
poll = "1h"
operators = ["carl"]
{account}
"""


def history(chat):
    room = next(c["_id"] for c in chat.channels_list() if c["name"] == "operations")
    said = list(chat.channels_history(room))
    return [f"{message['u']['username']}: {message['msg']}" for message in reversed(said)]


def chat_stand_in(stack):
    """the rocketchat_API client drives the chat that is not there"""
    port = free_port()
    stack.start(chat_section(port))
    url = f"http://127.0.0.1:{port}"
    chat = RocketChat("anna", "a", server_url=url)
    assert chat.me()["username"] == "anna"
    sent = chat.chat_post_message("ahoy ü", channel="operations")
    assert sent["success"] and sent["message"]["msg"] == "ahoy ü", sent
    for number in range(60):
        chat.chat_post_message(f"line {number}", room_id=sent["message"]["rid"])
    said = history(chat)
    assert said[0] == "anna: ahoy ü" and said[-1] == "anna: line 59" and len(said) == 61, said
    try:
        RocketChat("anna", "wrong", server_url=url)
    except RocketAuthenticationException:
        return
    raise AssertionError("a wrong password was taken")


async def talk_live(stack, port):
    address = f"ws://127.0.0.1:{port}/websocket"
    stranger = LiveChat()
    try:
        await stranger.start(address, "anna", "wrong")
        raise AssertionError("a wrong password was taken")
    except RuntimeError:
        pass
    anna, heard = LiveChat(), asyncio.Queue()
    await anna.start(address, "anna", "a")
    channels = await anna.get_channels()
    assert channels == [("room-operations", "c")], channels
    room, _ = channels[0]
    subscription = await anna.subscribe_to_channel_messages_raw(room, heard.put_nowait)
    await anna.send_message("@bot hello ü", room)

    async def hears(user, text):
        told = await asyncio.wait_for(heard.get(), PATIENCE_S)
        assert (told["rid"], told["u"]["username"], told["msg"]) == (room, user, text), told

    await hears("anna", "@bot hello ü")
    await hears("bot", "@anna hello @anna")
    await anna.unsubscribe(subscription)
    # By another door, with the token that REST gave.
    rest = RocketChat("carl", "c", server_url=f"http://127.0.0.1:{port}")
    carl = LiveChat()
    await carl.resume(address, "carl", rest.headers["X-Auth-Token"])
    await carl.subscribe_to_channel_messages_raw(room, heard.put_nowait)
    await carl.send_message("@bot who", room)
    await hears("carl", "@bot who")
    await hears("bot", "@carl nobody is on shift")
    assert heard.empty(), "who has unsubscribed is told nothing"


def chat_live(stack):
    """a person with the rocketchat-async client and the bot hear each other on the websocket at once"""
    port = free_port()
    stack.start(chat_section(port) + bots_section(port))
    until(lambda: stack.asked("chatbot", "hearing")["by"] == "websocket", "the bot listens")
    asyncio.run(talk_live(stack, port))
    assert stack.asked("chatbot", "hearing")["trouble"] is None


def chat_orders(stack):
    """a person with the rocketchat_API client hears alarms and commands services"""
    port = free_port()
    stack.start(chat_section(port) + bots_section(port))
    url = f"http://127.0.0.1:{port}"
    anna = RocketChat("anna", "a", server_url=url)
    carl = RocketChat("carl", "c", server_url=url)
    until(lambda: stack.asked("chatbot", "hearing")["by"] == "websocket", "the bot listens")
    stack.alarm()
    until(lambda: any("bot: [alert] anna tries" in line for line in history(anna)), "the alarm")

    def answered(person, order, expected):
        before = len(history(person))
        person.chat_post_message(f"@bot {order}", channel="operations")
        until(lambda: len(history(person)) >= before + 2, f"an answer to {order}")
        answer = history(person)[before + 1]
        assert expected in answer, f"{order}: {answer}"

    answered(anna, "status", "only shifters and operators")
    answered(carl, "shifters are anna and ben", "on shift: anna and ben")
    stack.alarm("ben")
    until(lambda: any("bot: @anna @ben: [alert] ben tries" in line for line in history(anna)), "names")
    answered(anna, "status", "alarm_chat")
    answered(anna, "supervisorctl restart alarm_chat", "alarm_chat: started")
    answered(anna, "mute disk_* for 1h because of a test", "muted disk_*")
    mutes = stack.asked("alarms", "list")["mutes"]
    assert [mute["by"] for mute in mutes] == ["anna"], mutes
    answered(anna, "stop all", "only operators")
    trail = stack.asked("chatbot", "audit")
    assert [row["user"] for row in trail] == ["anna", "carl"] + ["anna"] * 4, trail


class Logbook(ThreadingHTTPServer):
    """Takes entries as ELOG does: a form in parts, with the crypted password in it."""

    def __init__(self, password, failures=0):
        super().__init__(("127.0.0.1", 0), LogbookHandler)
        self.password, self.failures, self.entries = password, failures, []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class LogbookHandler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        form = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        fields = {}
        for part in form.iter_parts():
            name = part.get_param("name", header="content-disposition")
            fields[name] = (part.get_filename(), part.get_payload(decode=True))
        book = self.server
        if book.failures > 0:
            book.failures -= 1
            self.send_response(503)
        elif not sha256_crypt.verify(book.password, "$5$$" + fields["upwd"][1].decode()):
            self.send_response(302)
            self.send_header("Location", "?fail=1")
        else:
            book.entries.append((self.path, fields))
            self.send_response(302)
            self.send_header("Location", str(len(book.entries)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def elog_section(book, more=""):
    return f"""
[service.webserver]
kind = "webserver"
listen = "127.0.0.1:0"

[service.alarm_elog]
kind = "alarm_elog"
after = ["alarms"]
url = "http://127.0.0.1:{book.server_address[1]}"
password = "deep sea"
rules = ["test"]
pictures = {{ test = "alarm_history" }}
{QUEUE}
{more}
"""


def elog_entries(stack):
    """an entry with a picture is taken where passlib knows the password"""
    book = Logbook("deep sea", failures=1)
    stack.start(elog_section(book))
    stack.alarm()
    until(lambda: book.entries, "an entry is taken")
    path, fields = book.entries[0]
    text = {name: value.decode() for name, (file, value) in fields.items() if file is None}
    assert path == "/Individual+Logbooks", path
    assert list(fields)[:3] == ["exp", "cmd", "Subject"], list(fields)
    assert (text["exp"], text["cmd"], text["unm"]) == ("Individual+Logbooks", "Submit", "km3net")
    assert text["Type"] == "Monitoring" and text["When"].isdigit(), text
    assert text["Text"].startswith("anna tries"), text
    name, picture = fields["attfile1"]
    assert name == "alarm_history.png" and picture.startswith(b"\x89PNG\r\n"), (name, picture[:8])
    book.shutdown()


def elog_refused(stack):
    """an entry with a wrong password is no success, waits and is told"""
    book = Logbook("another")
    stack.start(elog_section(book))
    stack.alarm()
    until(lambda: stack.asked("alarm_elog", "queue")["failures"] >= 1, "it is refused")
    queue = stack.asked("alarm_elog", "queue")
    assert queue["trouble"] == "log-in as km3net refused" and queue["waiting"] == 1, queue
    book.password = "deep sea"
    until(lambda: book.entries, "it is taken at last")
    book.shutdown()


def crypted_passwords(stack):
    """passwords of many lengths are crypted as passlib does"""
    for length in (1, 2, 15, 16, 31, 32, 33, 63, 64, 65):
        book = Logbook("äx"[: length % 2 + 1] * length)
        section = elog_section(book).replace('"deep sea"', json.dumps(book.password))
        stack.start(section)
        stack.alarm()
        until(lambda: book.entries, f"a password of {length} is right")
        book.shutdown()
        stack.stop()


CHECKS = [
    log_lines,
    mails_arrive,
    mails_wait,
    mails_are_encrypted,
    chat_stand_in,
    chat_live,
    chat_orders,
    elog_entries,
    elog_refused,
    crypted_passwords,
]


def main():
    passed = failed = 0
    for check in CHECKS:
        name, stack = check.__doc__.strip(), Stack()
        try:
            check(stack)
            print(f"ok: {name}", flush=True)
            passed += 1
        except BaseException:
            traceback.print_exc()
            log = stack.folder / "fathom.log"
            print(log.read_text()[-4000:] if log.exists() else "no log", file=sys.stderr)
            print(f"FAILED: {name}", flush=True)
            failed += 1
        finally:
            stack.end()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
