"""km3pipe's side of `cargo bench --bench versus`: the same payloads, decoded and counted by its code,
and pictures of the same content drawn the way its users draw them. Prints one JSON line per measure:
{"measure": name, "per_second": number}.

Usage: km3pipe_side.py FOLDER, with the dumps that the benchmark wrote there.
"""

import json
import struct
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from km3modules.k40 import TwofoldCounter
from km3pipe.io.daq import DAQProcessor, TimesliceParser

# Each measure goes on for at least so long [s] and so many messages.
LEAST_S = 3.0
LEAST_MESSAGES = 2


def bodies(path):
    """Splits a dump at the length that begins each body."""
    data = path.read_bytes()
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<i", data, at)
        yield data[at : at + length]
        at += length


def say(measure, per_second):
    print(json.dumps({"measure": measure, "per_second": per_second}), flush=True)


def rate(work, messages):
    """Returns messages per second; the first one, which compiles what is compiled, does not count."""
    work(messages[0])
    done, begun = 0, time.perf_counter()
    while done < LEAST_MESSAGES or time.perf_counter() - begun < LEAST_S:
        work(messages[done % len(messages)])
        done += 1
    return done / (time.perf_counter() - begun)


def blob(tag, body):
    return {"CHPrefix": SimpleNamespace(tag=tag), "CHData": body}


def decode(folder):
    processor, parser = DAQProcessor(), TimesliceParser()
    measures = [
        ("summary slices", "IO_SUM", processor),
        ("events", "IO_EVT", processor),
        ("L1 slices", "IO_TSL1", parser),
    ]
    for measure, tag, module in measures:
        messages = list(bodies(folder / f"{tag}.dat"))
        say(measure, rate(lambda body: module.process(blob(tag, body)), messages))


def count_pairs(folder):
    parser, counter = TimesliceParser(), TwofoldCounter(tmax=10)
    slices = [parser.process(blob("IO_TSL1", b)) for b in bodies(folder / "K40.dat")]
    say("K40 counting", rate(counter.process, slices))


def zt_plot(path, target):
    """One panel per DU with its hits, as the zt plot of the monitoring has them."""
    dus, hits = json.loads(path.read_text())
    columns = int(np.ceil(np.sqrt(len(dus))))
    rows = int(np.ceil(len(dus) / columns))
    figure, axes = plt.subplots(rows, columns, sharex=True, sharey=True, figsize=(16, 16))
    by_du = {du: [] for du in dus}
    for hit in hits:
        by_du[hit[0]].append(hit)
    for axis, du in zip(np.ravel(axes), dus):
        table = np.array(by_du[du], dtype=float).reshape(-1, 5)
        shown = table[:, 4] > 0
        axis.scatter(table[:, 1], table[:, 2], s=30 * table[:, 3], c="#09A9DE", alpha=0.5)
        axis.scatter(table[shown, 1], table[shown, 2], c="#FF6363", marker="+", alpha=0.8)
        for height in range(0, 700, 36):
            axis.axhline(height, lw=1, color="b", alpha=0.15, ls="--")
        axis.set_title(f"DU {du}")
    figure.savefig(target, dpi=120)
    plt.close(figure)


def hit_map(path, target):
    """One column per event and one row per DOM, with the names of every floor 1, 6 and 12."""
    shape, cells, names = json.loads(path.read_text())
    counts = np.zeros(shape)
    for row, column, count in cells:
        counts[row, column] = count
    counts[counts == 0] = np.nan
    figure, axis = plt.subplots(figsize=(16, 9))
    norm = matplotlib.colors.LogNorm(vmin=1, vmax=np.nanmax(counts))
    picture = axis.imshow(counts, aspect="auto", origin="lower", cmap="plasma", norm=norm)
    axis.set_yticks([row for row, _ in names])
    axis.set_yticklabels([name for _, name in names])
    figure.colorbar(picture, label="number of hits")
    figure.savefig(target, dpi=120)
    plt.close(figure)


def pictures(folder):
    for measure, draw, name in [("zt plots", zt_plot, "zt"), ("hit maps", hit_map, "hitmap")]:
        begun = time.perf_counter()
        draw(folder / f"{name}.json", folder / f"{name}_km3pipe.png")
        say(measure, 1 / (time.perf_counter() - begun))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    decode(where)
    count_pairs(where)
    pictures(where)
