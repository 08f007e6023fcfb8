#!/usr/bin/env python3
"""Fills corpus/ with the payloads of the reference values: seeds for `cargo fuzz run TARGET`."""

import base64
import json
import pathlib

HERE = pathlib.Path(__file__).parent
SECTIONS = {
    "io_evt": "event",
    "io_evt_legacy": "event",
    "io_sum": "summary",
    "io_ts": "time_slice",
    "io_monit": "monitoring",
    "io_oline": "online",
}
TEXTS = {
    "message": [b"Tue May  4 2021 192.168.0.3 F012 WARNING HRV high", b"caf\xe9 A01\nQ02\n\0"],
    "detx": [
        b"7 1\n11 3 2 1\n 1 1.0 0 0 1 0 0 10.5\n",
        b"23 V5\n0.0 9999999999.0\nUTM WGS84 32N +1.0 +2.0 -3.0\n1\n"
        b"5 1 1 +1 +2 +3 +1 0 0 0 0 0 1\n 1 1 2 3 0 0 1 4 0\n",
        b"# a \"b\n1 2\n# c\"\n-1 1\n1 1 -1 0\n",
    ],
}


def write(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def main():
    golden = json.loads((HERE / "../tests/data/golden-public.json").read_text())
    for section, target in SECTIONS.items():
        for number, case in enumerate(golden[section]):
            if not case.get("payload_b64"):
                continue
            body = base64.b64decode(case["payload_b64"])
            write(target, f"{section}_{number}", body)
            prefix = len(body).to_bytes(4, "little") if section == "io_monit" else b""
            write("dump", f"{section}_{number}", (prefix + body) * 2)
    for number, case in enumerate(golden["framing"]):
        write("splitter", f"frame_{number}", b"\x05" + bytes.fromhex(case["frame_hex"]) * 3)
    for number, case in enumerate(golden["subscription_bodies"]):
        write("subscription", f"body_{number}", case["body"].encode())
    for target, texts in TEXTS.items():
        for number, text in enumerate(texts):
            write(target, f"text_{number}", text)


if __name__ == "__main__":
    main()
