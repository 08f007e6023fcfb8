"""Checks of the ligier with km3pipe's Client and CHPump and with the controlhost package."""

import contextlib
import logging
import queue
import signal
import sys
import time

import controlhost
import km3pipe.controlhost
import km3pipe.io.ch
from km3pipe.controlhost import Client
from km3pipe.io.ch import CHPump

from rig import Background, dump, in_child, run_checks, settled, until

logging.disable(logging.CRITICAL)

DUMPS = ["IO_EVT", "IO_SUM", "IO_MONIT", "IO_TSSN"]
BIG = bytes(range(256)) * 4000


def subscriber(broker, *tags, mode="any"):
    client = Client("127.0.0.1", broker.port)
    for tag in tags:
        client.subscribe(tag, mode)
    settled(client)
    return client


def old_subscriber(broker, *tags, mode="wait"):
    client = controlhost.Client("127.0.0.1", broker.port)
    client._connect()
    for tag in tags:
        client.subscribe(tag, mode)
    settled(client)
    return client


def publisher(broker):
    client = Client("127.0.0.1", broker.port)
    client._connect()
    return client


def received(client, count):
    messages = (client.get_message() for _ in range(count))
    return [(str(prefix.tag), bytes(data)) for prefix, data in messages]


def dumps_byte_for_byte(broker, client):
    expected = [(tag, body) for tag in DUMPS for body in dump(tag)]
    assert len(expected) >= 15, len(expected)
    reader = Background(lambda: received(client, len(expected)))
    writer = publisher(broker)
    for tag, body in expected:
        writer.put_message(tag, body)
    assert reader.result() == expected


def km3pipe_dumps(broker):
    """km3pipe's Client publishes the dumps and receives them byte for byte"""
    dumps_byte_for_byte(broker, subscriber(broker, *DUMPS))


def km3pipe_dumps_all(broker):
    """km3pipe's Client receives the dumps in mode all"""
    dumps_byte_for_byte(broker, subscriber(broker, *DUMPS, mode="all"))


def controlhost_dumps(broker):
    """the controlhost package receives the dumps byte for byte"""
    dumps_byte_for_byte(broker, old_subscriber(broker, *DUMPS))


def controlhost_publishes(broker):
    """the controlhost package publishes"""
    reader = subscriber(broker, "MSG")
    writer = controlhost.Client("127.0.0.1", broker.port)
    writer._connect()
    writer.socket.sendall(controlhost.controlhost.Message(b"MSG", b"from the old package").data)
    assert received(reader, 1) == [("MSG", b"from the old package")]


def unsubscribing(broker):
    """both clients unsubscribe without reconnecting"""
    for make in (subscriber, old_subscriber):
        reader = make(broker, "A", "B", "C")
        line = reader.socket
        reader.unsubscribe("B")
        settled(reader)
        writer = publisher(broker)
        for tag in "ABC":
            writer.put_message(tag, tag)
        assert received(reader, 2) == [("A", b"A"), ("C", b"C")]
        assert reader.socket is line


def blanks_between_tags(broker):
    """a subscription to two tags in one word list is taken as the first"""
    reader = subscriber(broker, "A B")
    writer = publisher(broker)
    writer.put_message("B", "no")
    writer.put_message("A", "yes")
    assert received(reader, 1) == [("A", b"yes")]


def empty_body(broker):
    """an empty body does not reach a pump, which would wait 30 s"""
    pump = linked_pump(broker, tags="MSG")
    writer = publisher(broker)
    writer.put_message("MSG", b"")
    writer.put_message("MSG", b"after")
    assert next_of(pump) == ("MSG", b"after")


def linked_pump(broker, **options):
    """Starts a pump and waits until messages reach it."""
    with contextlib.redirect_stdout(None):
        pump = CHPump(host="127.0.0.1", port=broker.port, timeout=20, max_queue=1000, **options)
    tag = options["tags"].split(",")[-1].strip()
    link_up(broker, pump, tag)
    return pump


def link_up(broker, pump, tag):
    """Publishes until a message arrives, then takes all of them."""
    writer = publisher(broker)

    def arrives():
        writer.put_message(tag, b"probe")
        try:
            return pump.queue.get(timeout=0.1)
        except queue.Empty:
            return False

    until(arrives, "a message reaches the pump")
    writer.put_message(tag, b"last probe")
    while next_of(pump) != (tag, b"last probe"):
        pass


def next_of(pump):
    blob = next(pump)
    return str(blob["CHPrefix"].tag), bytes(blob["CHData"])


def pump_dumps(broker):
    """CHPump receives the dumps byte for byte"""
    pump = linked_pump(broker, tags=", ".join(DUMPS))
    writer = publisher(broker)
    for tag in DUMPS:
        for body in dump(tag):
            writer.put_message(tag, body)
            assert next_of(pump) == (tag, body)
    pump.finish()


def pump_in_mode_all(broker):
    """CHPump receives in mode all"""
    pump = linked_pump(broker, tags="MSG", subscription_mode="all")
    publisher(broker).put_message("MSG", "kept")
    assert next_of(pump) == ("MSG", b"kept")
    pump.finish()


def own_publications(broker):
    """a client receives what it publishes itself"""
    both = subscriber(broker, "MSG")
    both.put_message("MSG", "to myself")
    assert received(both, 1) == [("MSG", b"to myself")]


def wait_for_broker(broker):
    """Makes the 30 s that km3pipe waits after an end as long as the broker is away."""

    def sleep(seconds):
        if seconds < 30:
            return time_sleep(seconds)
        broker.is_there.wait()

    km3pipe.controlhost.time = km3pipe.io.ch.time = Patched(sleep)


time_sleep = time.sleep


class Patched:
    """The module `time` with another `sleep`."""

    def __init__(self, sleep):
        self.sleep = sleep
        self.time = time.time


def pump_reconnects(broker):
    """CHPump comes back by itself after the broker was restarted"""
    wait_for_broker(broker)
    pump = linked_pump(broker, tags="MSG")
    broker.restart()
    link_up(broker, pump, "MSG")


def client_reconnects(broker):
    """km3pipe's Client comes back by itself after the broker was restarted"""
    wait_for_broker(broker)
    reader = subscriber(broker, "MSG", "IO_EVT")
    first = Background(lambda: received(reader, 1))
    broker.restart()
    writer = publisher(broker)
    until(lambda: probe(writer, first), "a message reaches the client")
    assert first.result() == [("MSG", b"probe")]


def probe(writer, reader):
    writer.put_message("MSG", "probe")
    return not reader.is_alive()


def old_client_reconnects(broker):
    """the controlhost package sees the end and reconnects after a restart"""
    reader = old_subscriber(broker, "MSG")
    broker.restart()
    try:
        reader.get_message()
        raise AssertionError("no end of file")
    except EOFError:
        reader._reconnect()
    settled(reader)
    publisher(broker).put_message("MSG", "again")
    assert received(reader, 1) == [("MSG", b"again")]


def restart_under_load(broker):
    """a broker that stops under load cuts no message of either client"""
    readers = [subscriber(broker, "BIG"), old_subscriber(broker, "BIG")]
    reading = [Background(lambda reader=reader: until_end(reader)) for reader in readers]
    writer = publisher(broker)

    def write():
        try:
            while True:
                writer.socket.sendall(km3pipe.controlhost.Message("BIG", BIG).data)
        except OSError:
            return

    writing = Background(write)
    time_sleep(0.5)
    broker.stop()
    writing.result()
    for background in reading:
        assert background.result() > 3


def until_end(client):
    """Receives whole messages until the connection ends; returns how many."""
    if isinstance(client, Client):
        client._recv = exact_recv(client)
    count = 0
    while True:
        try:
            _prefix, data = client.get_message()
        except EOFError:
            return count
        assert data == BIG, "a message was cut"
        count += 1


def exact_recv(client):
    """Like the method of km3pipe, but an end inside a message is an error and not a wait."""

    def recv(size):
        message = b""
        while len(message) < size:
            piece = client.socket.recv(size - len(message))
            if not piece and message:
                raise AssertionError("ended inside a message")
            if not piece:
                raise EOFError
            message += piece
        return message

    return recv


KILLED_PUBLISHER = """
import os, signal, sys
from km3pipe.controlhost import Client, Message
client = Client("127.0.0.1", int(sys.argv[1]))
client._connect()
client.put_message("MSG", "whole")
client.socket.sendall(Message("MSG", bytes(100000)).data[:50000])
os.kill(os.getpid(), signal.SIGKILL)
"""

KILLED_SUBSCRIBER = """
import os, signal, sys
from km3pipe.controlhost import Client
client = Client("127.0.0.1", int(sys.argv[1]))
client.subscribe("BIG")
print("subscribed", flush=True)
client.socket.recv(16 + 5000)
os.kill(os.getpid(), signal.SIGKILL)
"""


def publisher_killed(broker):
    """a publisher killed inside a message harms nobody"""
    reader = subscriber(broker, "MSG")
    for _ in range(3):
        child = in_child(KILLED_PUBLISHER, broker.port)
        assert child.wait(30) == -signal.SIGKILL
        assert received(reader, 1) == [("MSG", b"whole")]
    publisher(broker).put_message("MSG", "next")
    assert received(reader, 1) == [("MSG", b"next")]


def subscriber_killed(broker):
    """subscribers killed inside a message harm nobody"""
    reader = subscriber(broker, "BIG", "MSG")
    writer = publisher(broker)
    for _ in range(3):
        child = in_child(KILLED_SUBSCRIBER, broker.port)
        child.stdout.readline()
        while child.poll() is None:
            writer.socket.sendall(km3pipe.controlhost.Message("BIG", BIG).data)
            assert received(reader, 1) == [("BIG", BIG)]
    writer.put_message("MSG", "next")
    assert received(reader, 1) == [("MSG", b"next")]


def broker_killed(broker):
    """after the broker was killed and started again both clients go on"""
    wait_for_broker(broker)
    pump = linked_pump(broker, tags="MSG")
    old = old_subscriber(broker, "MSG")
    broker.restart(signal.SIGKILL)
    try:
        old.get_message()
    except (EOFError, OSError):
        pass
    old._reconnect()
    settled(old)
    link_up(broker, pump, "MSG")
    assert received(old, 1)[0][0] == "MSG"


CHECKS = [
    km3pipe_dumps,
    km3pipe_dumps_all,
    controlhost_dumps,
    controlhost_publishes,
    unsubscribing,
    blanks_between_tags,
    empty_body,
    pump_dumps,
    pump_in_mode_all,
    own_publications,
    pump_reconnects,
    client_reconnects,
    old_client_reconnects,
    restart_under_load,
    publisher_killed,
    subscriber_killed,
    broker_killed,
]

if __name__ == "__main__":
    sys.exit(run_checks(CHECKS))
