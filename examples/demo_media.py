"""The files that the demo serves, created at start-up: a tune and numbered lines."""

from __future__ import annotations

import array
import math
import os
import sys
import tempfile
import wave
from pathlib import Path

RATE = 11025  # samples per second
NOTE = RATE // 3  # samples per note
PENTATONIC = (220.0, 261.6, 293.7, 329.6, 392.0, 440.0, 523.3)  # Hz
MELODY = (0, 2, 3, 5, 4, 3, 1, 2, 6, 5, 3, 4, 2, 1, 3, 0)
# Three minutes, long enough to seek in; in base64, less than the 6 MB of a response of AWS Lambda.
REPEATS = 36

# The modification time of the files, in POSIX seconds. Entity tags are derived from it, so they are
# equal in each process.
MODIFIED = 1767225600

LINES = 50_000
LINE = "{number:07d}  square {square:015d}\n"  # 32 bytes, so that the range of a line is known


def note(pitch: float) -> array.array[int]:
    """Return the samples of one note that fades like a plucked string."""
    samples = array.array("h")
    for index in range(NOTE):
        loudness = 9000 * (1 - index / NOTE) ** 2
        samples.append(int(loudness * math.sin(2 * math.pi * pitch * index / RATE)))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def write_tune(path: Path) -> None:
    notes = [note(pitch).tobytes() for pitch in PENTATONIC]
    with wave.open(str(path), "wb") as tune:
        tune.setnchannels(1)
        tune.setsampwidth(2)
        tune.setframerate(RATE)
        tune.writeframes(b"".join(notes[index] for index in MELODY) * REPEATS)


def write_lines(path: Path) -> None:
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(
            LINE.format(number=number, square=number * number) for number in range(1, LINES + 1)
        )


class Media:
    """A temporary folder with both files (6 MB); ``close`` deletes it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="asgikit-demo-")
        folder = Path(self._folder.name)
        self.tune = folder / "tune.wav"
        self.lines = folder / "lines.txt"
        write_tune(self.tune)
        write_lines(self.lines)
        for path in (self.tune, self.lines):
            os.utime(path, (MODIFIED, MODIFIED))

    def close(self) -> None:
        self._folder.cleanup()
