"""Where workers come from."""

import os

from lora_demo.processes import CONTEXT


def threads_of_the_fork_server(connection) -> None:
    connection.send(os.listdir(f"/proc/{os.getppid()}/task"))


def test_the_fork_server_has_no_thread_that_a_worker_would_miss():
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=threads_of_the_fork_server, args=(theirs,))
    process.start()
    assert ours.poll(60)
    assert len(ours.recv()) == 1
    process.join()
