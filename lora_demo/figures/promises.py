"""LoRA's promises beside what was measured: one small table and one verdict each."""

from lora_demo.layer_lab.promises import Latency, Memory, Switch
from lora_demo.units import bytes_text, seconds_text, share_text

PENDING = "Not measured yet."
TOO_NOISY, SMALLEST_COST = 0.05, 0.02  # shares of the bare forward pass


def switch(measured: Switch | None, pending: str = PENDING) -> str:
    """Files and loading times of an adapter and of a whole model."""
    rows = [("adapter and head", "–", "–"), ("whole model", "–", "–")]
    verdict = pending
    if measured:
        rows = [
            ("adapter and head", bytes_text(measured.adapter_bytes), seconds_text(measured.adapter_seconds)),
            ("whole model", bytes_text(measured.model_bytes), seconds_text(measured.model_seconds)),
        ]
        smaller = measured.model_bytes / measured.adapter_bytes
        verdict = (
            f"Holds: <b>{smaller:.0f} ×</b> smaller, <b>{measured.model_seconds / measured.adapter_seconds:.0f} ×</b> "
            "quicker to load. The paper's 10,000 × does not hold at this size: in a small model the same rank is a larger "
            "share."
        )
    claim = "The paper, GPT-3: a checkpoint of 35 MB instead of 350 GB."
    return _block("Tasks are cheap to switch", claim, ("", "file", "load"), rows, verdict)


def memory(measured: dict[str, Memory] | None, batch_size: int, pending: str = PENDING) -> str:
    """What training holds, by kind, full against LoRA."""
    kinds = ("weights", "gradients", "optimizer", "activations", "total")
    rows = [(kind, "–", "–") for kind in kinds]
    verdict = pending
    if measured:
        full, lora = measured["full"], measured["lora"]
        rows = [(kind, bytes_text(getattr(full, kind)), bytes_text(getattr(lora, kind))) for kind in kinds]
        steady, whole = full.without_activations / lora.without_activations, full.total / lora.total
        holds = "Holds nearly" if whole >= 2.5 else "Holds in part"
        images = "one image" if batch_size == 1 else f"{batch_size} images"
        verdict = (
            f"{holds}: <b>{whole:.1f} ×</b> less in all with {images} at a time, <b>{steady:.1f} ×</b> without the "
            f"activations. They are {share_text(lora.activations, lora.total)} of what LoRA holds, and rank does not shrink "
            "them."
        )
    claim = "The paper: up to 3 times less memory (1.2 TB to 350 GB)."
    return _block("Training is cheaper", claim, ("", "full", "LoRA"), rows, verdict)


def latency(measured: Latency | None, pending: str = PENDING) -> str:
    """A forward pass bare, with A and B beside W0, and merged."""
    kinds = {"base": "no adapter", "unmerged": "A and B beside W₀", "merged": "merged into W₀"}
    rows = [(label, "–", "–") for label in kinds.values()]
    verdict = pending
    if measured:
        times = {kind: getattr(measured, kind) for kind in kinds}
        rows = [
            (label, seconds_text(times[kind]), f"{times[kind] / measured.base:.2f} ×") for kind, label in kinds.items()
        ]
        verdict = _latency_verdict(measured)
    claim = "The paper: none once merged; other adapters cost 2 to 30 %."
    return _block("A forward pass costs no more", claim, ("", "median", ""), rows, verdict)


def _latency_verdict(measured: Latency) -> str:
    merged, unmerged = measured.merged / measured.base - 1, measured.unmerged / measured.base - 1
    noise = measured.noise / measured.base
    figures = f"merged <b>{_percent(merged)}</b>, unmerged <b>{_percent(unmerged)}</b>, noise {100 * noise:.1f} %"
    if noise > TOO_NOISY:
        return f"Not decided: {figures}. Something else is using the machine; measure again."
    if merged <= max(2 * noise, SMALLEST_COST):
        return f"Holds once merged: {figures}. Of the time before merging the paper promises nothing."
    return f"Does not hold in this measurement: {figures}."


def _percent(change: float) -> str:
    return f"{100 * change:+.1f} %".replace("-", "−")


def _block(title: str, claim: str, titles: tuple[str, ...], rows: list[tuple[str, ...]], verdict: str) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in titles)
    body = "".join(f'<tr><th scope="row">{name}</th><td>{one}</td><td>{other}</td></tr>' for name, one, other in rows)
    return (
        f'<div class="promise"><h3>{title}</h3><p class="note">{claim}</p>'
        f'<table class="ledger"><tr>{head}</tr>{body}</table><p>{verdict}</p></div>'
    )
