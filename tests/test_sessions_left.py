"""A page that goes away in the middle of everything leaves no traceback in the log."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import httpx

from lora_demo.ui.page import FRONT


def test_a_session_left_over_two_streams_is_no_error_of_the_server(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = (
        "import asyncio, time, gradio as gr\n"
        "from lora_demo.ui import sessions_left\n"
        "async def slow():\n"
        "    await asyncio.sleep(60)\n"
        "with gr.Blocks() as demo: gr.api(slow, api_name='slow')\n"
        "sessions_left.forgive(demo)\n"
        f"demo.launch(server_port={port}, quiet=True, ssr_mode=False)\n"
    )
    log = tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        environment = {**os.environ, "PYTHONPATH": str(FRONT.parents[1])}
        server = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=output, stderr=output)
        try:
            while True:
                try:
                    urllib.request.urlopen(url, timeout=5).close()
                    break
                except OSError:
                    assert server.poll() is None, log.read_text()
                    time.sleep(0.1)
            leave_over_two_streams(url)
            assert httpx.get(f"{url}/config").status_code == 200
        finally:
            server.terminate()
            server.wait(20)
    assert not re.search("Traceback|KeyError", log.read_text()), log.read_text()


def leave_over_two_streams(url: str) -> None:
    """Ask for something slow, listen twice, and go."""
    config = httpx.get(f"{url}/config").json()
    number = next(one["id"] for one in config["dependencies"] if one["api_name"] == "slow")
    asked = {"data": [], "fn_index": number, "session_hash": "leaving"}
    httpx.post(f"{url}/gradio_api/queue/join", json=asked).raise_for_status()
    listening = threading.Barrier(3)

    def listen() -> None:
        with (
            httpx.Client(timeout=None) as client,
            client.stream("GET", f"{url}/gradio_api/queue/data?session_hash=leaving"),
        ):
            listening.wait(20)
            time.sleep(1)

    streams = [threading.Thread(target=listen) for _ in range(2)]
    for stream in streams:
        stream.start()
    listening.wait(20)
    for stream in streams:
        stream.join()
    time.sleep(2)  # until the server has noticed
