"""Six corrections to the notebook this page grew out of, each beside what it corrects."""

import math
from collections.abc import AsyncIterator

import gradio as gr

from lora_demo.ui.chart import chart, figure_text
from lora_demo.ui.edge import spoken
from lora_demo.ui.section import section
from lora_demo.units import share_text, significant

WAYS = [("torch.empty (the notebook)", "uninitialised"), ("copied, no bias", "no_bias"), ("copied (here)", "copied")]
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


def build() -> None:
    """One row a correction: what the notebook says or does and a control left, what is found right."""
    heading = section("The notebook, checked", "LoRA Lab grew out of a notebook. Six things in it do not hold.")

    left, right = correction("1. Rank k is a sum of two rank-1 matrices.")
    with left:
        terms = gr.Slider(1, 6, 3, step=1, label="Terms added up")
    with right:
        rank = gr.HTML()

    left, right = correction("2. W₀ is torch.empty. Neither the pretrained weight nor the bias is copied.")
    with left:
        way = gr.Radio(WAYS, value="uninitialised", label="W₀ of the injected layers")
    with right:
        damage, outputs = gr.HTML(), gr.HTML()

    left, right = correction("3. The new head, drawn at random, is frozen with the backbone.")
    with left:
        run = gr.Button("Train both ways")
    with right:
        price = gr.HTML(
            finding("LoRA then has to steer around a random head. A short run of each kind shows the price.")
        )
        losses = chart(label="Loss of LoRA with a trained and with a frozen head", height=260, visible=False)

    left, right = correction("4. A is called Gaussian and drawn from a uniform distribution.")
    with right:
        spread = gr.HTML()
        draws = chart(label="How the numbers of A spread when drawn uniformly and from a Gaussian", height=230)

    left, right = correction("5. BAx is added to W₀x in place.")
    with right:
        in_place = gr.HTML()

    left, right = correction("6. Both methods learn at the same rate, 3e-5.")
    with right:
        best = gr.HTML()
        rates = chart(label="Loss left after training at each learning rate, full and LoRA", height=300)

    heading.expand(show_quick, [terms], [rank, spread, draws, in_place], **QUIET)
    heading.expand(show_damage, [way], [damage, outputs], **QUIET)
    heading.expand(show_rates, None, [best, rates], **QUIET)
    terms.input(show_rank, [terms], [rank], queue=False, **QUIET)
    way.input(show_damage, [way], [damage, outputs], **QUIET)
    run.click(train_both_ways, None, [price, losses], concurrency_limit=None, **QUIET)


def correction(claim: str) -> tuple[gr.Column, gr.Column]:
    """A row with the notebook's version on the left; returns its two columns, to be filled."""
    with gr.Row(elem_classes="correction controls-first"):
        left = gr.Column(scale=1, elem_classes="controls")
        right = gr.Column(scale=3, elem_classes="pictures")
    with left:
        gr.HTML(f'<div class="claim">{claim}</div>')
    return left, right


def finding(sentence: str, facts: str = "") -> str:
    """What was found, and the figures behind it."""
    return f'<div class="finding">{sentence}</div><div class="facts">{facts}</div>'


def show_rank(terms: int) -> str:
    """Rank and error of a sum of `terms` rank-1 matrices."""
    from lora_demo.layer_lab import corrections

    found = corrections.rank_one_sum()
    rank, error = found.ranks[terms - 1], found.errors[terms - 1]
    return finding(
        f"{terms} rank-1 {'matrix makes' if terms == 1 else 'matrices make'} rank {rank}: it takes k of them for rank k",
        f"<span>two make rank <b>{found.ranks[1]}</b>, whatever k is</span>"
        f"<span>of this 6 × 6 matrix, {terms} leave out <b>{share_text(error, 1) if error > 1e-9 else '0 %'}</b></span>",
    )


def show_quick(terms: int) -> tuple[str, str, str, str]:
    """What takes no time to find: ranks, draws of A, adding in place."""
    from lora_demo.figures import corrections as figures
    from lora_demo.layer_lab import corrections

    kaiming, gaussian = corrections.draw_A("kaiming"), corrections.draw_A("gaussian")
    wider = gaussian.values.std() / kaiming.values.std()
    spread = finding(
        f"Uniform, as loralib and PEFT draw it, and called so. A Gaussian A is {wider:.1f} × as wide",
        f"<span>uniform: standard deviation <b>{kaiming.values.std():.3f}</b>, 1/√(3k) = <b>{kaiming.expected_std:.3f}</b>"
        f"</span><span>Gaussian: <b>{gaussian.values.std():.3f}</b>, 1/r = <b>{gaussian.expected_std:.3f}</b></span>",
    )
    added = corrections.add_in_place()
    in_place = finding(
        "It is not needed, and whoever kept W₀x finds it changed",
        f"<span>h is the same to <b>{added.result_difference:.2g}</b></span>"
        f"<span>the kept W₀x moved by <b>{added.kept_changed_in_place:.3g}</b> in place</span>"
        f"<span>by <b>{added.kept_changed_out_of_place:.2g}</b> otherwise</span>",
    )
    return show_rank(terms), spread, figure_text(figures.draws(kaiming, gaussian)), in_place


def show_damage(way: str) -> tuple[str, str]:
    """What an injection does to the backbone before anything is trained."""
    from lora_demo.figures import corrections as figures
    from lora_demo.layer_lab import corrections

    found = corrections.inject_as(way)
    before, after = f"{100 * found.base_accuracy:.1f} %", f"{100 * found.accuracy:.1f} %"
    low, high = found.weight_range
    held = "what is not even a number" if math.isnan(low) else f"numbers from <b>{low:.2g}</b> to <b>{high:.2g}</b>"
    if way == "copied":
        sentence = f"Injected as here, the model is the one it was: {after} right before and after"
    else:
        sentence = f"The model is broken before training starts: {before} right before, {after} after"
    return (
        finding(
            sentence,
            f"<span>W₀ holds {held}</span><span><b>{found.images}</b> validation images, one of each class</span>",
        ),
        figures.outputs(found),
    )


@spoken
async def train_both_ways() -> AsyncIterator[tuple]:
    """Train with a trained and with a frozen head; the curves grow while they do."""
    from lora_demo.figures import corrections as figures
    from lora_demo.layer_lab import frozen_head

    yield finding("Training with a trained head, then with a frozen one …"), gr.update(visible=True)
    async for both in frozen_head.compare():
        yield gr.skip(), figure_text(figures.head_losses(both))
    trained, frozen = both["trained"], both["frozen"]
    yield (
        finding(
            f"The frozen head costs {100 * (trained.accuracy - frozen.accuracy):.0f} points: {share_text(frozen.accuracy, 1)} "
            f"right instead of {share_text(trained.accuracy, 1)}",
            f"<span>after <b>{frozen_head.STEPS}</b> steps, on <b>{frozen_head.IMAGES}</b> held-out images</span>"
            "<span>same start, same batches, same rate</span>",
        ),
        gr.skip(),
    )


def show_rates() -> tuple[str, str]:
    """Loss over learning rate for full fine-tuning and LoRA."""
    from lora_demo.figures import corrections as figures
    from lora_demo.layer_lab import rates

    sweep = rates.sweep()
    full, lora = sweep.best("full"), sweep.best("lora")
    done = 1 - sweep.lora[0]
    return (
        finding(
            f"LoRA's best rate is {lora / full:.0f} × full's here. At 3e-5 it has done {share_text(done, 1)} of its work",
            f"<span>best: full <b>{significant(full, 1)}</b>, LoRA <b>{significant(lora, 1)}</b></span>"
            f"<span>one linear layer of {rates.SIZE} × {rates.SIZE}, r = {rates.RANK}, Adam</span>"
            "<span>the Train tab gives each method its own rate</span>",
        ),
        figure_text(figures.rates(sweep)),
    )
