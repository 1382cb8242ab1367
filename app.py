"""LoRA Lab's entry point: builds the page and serves it."""

import os
import threading

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # Gradio calls out at import unless told not to
# One thread for the page's own products: two would fight a training worker's for the cores. A worker takes its share itself.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A worker's threads sleep while they wait for each other. Alone that costs up to a fifth of the speed; spinning, they fall to a
# third as soon as a browser wants a core too (tests/benchmarks/wait_policy.py).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    # Imported here, not above: worker processes import this file too, and need no page.
    from lora_demo import processes
    from lora_demo.ui import classify, outbox, page

    demo = page.build()
    demo.launch(**page.launch_options(), prevent_thread_lock=True)
    print(f"LoRA Lab is at {demo.local_url}", flush=True)
    # The page is up first; then what the first click needs is made ready.
    threading.Thread(target=processes.warm_up, daemon=True).start()
    threading.Thread(target=classify.warm_up, daemon=True).start()
    threading.Thread(target=outbox.forget_old_for_ever, daemon=True).start()
    demo.block_thread()


if __name__ == "__main__":
    main()
