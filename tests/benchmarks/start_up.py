"""Seconds from starting app.py to the first page, and to the first answer of the Classify endpoint.

.venv/bin/python tests/benchmarks/start_up.py [times]
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from gradio_client import Client, handle_file

ROOT = Path(__file__).resolve().parents[2]


def measure() -> tuple[float, float]:
    """Start the app once; seconds to the first page and to the first class."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "LORA_LAB_RUNS": tempfile.mkdtemp()}
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, ROOT / "app.py"], env=environment, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=5).read()
                break
            except OSError:
                time.sleep(0.02)
        page = time.perf_counter() - start
        client = Client(f"http://127.0.0.1:{port}", verbose=False)
        client.predict(handle_file(ROOT / "assets" / "examples" / "ship.png"), None, 1, api_name="/classify")
        return page, time.perf_counter() - start
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    pages, answers = zip(*(measure() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5)), strict=True)
    for name, seconds in (("first page", pages), ("first class", answers)):
        print(f"{name:12} median {statistics.median(seconds):.2f} s, from {min(seconds):.2f} to {max(seconds):.2f} s")


if __name__ == "__main__":
    main()
