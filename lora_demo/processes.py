"""Where worker processes come from: one fork server with the heavy imports done, so that one starts in milliseconds."""

import multiprocessing

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "lora_demo.worker",
        "lora_demo.preloaded",
        "lora_demo.xray.report",
        "lora_demo.xray.truncation",
        "lora_demo.xray.forgetting",
    ]
)


def warm_up() -> None:
    """Start the fork server and let it import what workers need, so that the first run need not wait for it."""
    process = CONTEXT.Process(target=_nothing)
    process.start()
    process.join()


def _nothing() -> None:
    """What the first worker does."""
