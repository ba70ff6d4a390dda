"""What one input takes and raises, without the fuzzer: `python replay.py READER FILE` prints it as JSON.

It tells a reader that is slow or large from one that only was so while the fuzzer watched it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from limits import forget_peak, limit_address_space, peak_memory
from reader import all_readers, own_errors


def main() -> None:
    name, file = sys.argv[1], Path(sys.argv[2])
    warnings.simplefilter("ignore")
    reader = all_readers()[name]
    raised, text = "", ""
    with tempfile.TemporaryDirectory() as place:
        seeds, work = Path(place) / "seeds", Path(place) / "work"
        seeds.mkdir()
        work.mkdir()
        # What is imported and made once does not count.
        for content in list(reader.seeds(seeds))[:3]:
            try:
                reader.read(content, work)
            except own_errors():
                pass
        forget_peak()
        limit_address_space()
        before, began = peak_memory(), time.process_time()
        try:
            reader.read(file.read_bytes(), work)
        except own_errors() as error:
            text = f"{type(error).__name__}: {error}"[:300]
        except BaseException as error:
            raised, text = type(error).__name__, traceback.format_exc()[-1500:]
        seconds = time.process_time() - began
    memory = peak_memory() - before
    print(json.dumps({"seconds": round(seconds, 2), "memory": memory, "raised": raised, "text": text}))


if __name__ == "__main__":
    main()
