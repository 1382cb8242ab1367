"""What to look at in each view of the X-ray: two sentences, the formula, where it comes from, and what chance would show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """The words beside one view; `words` and `formula` may hold simple HTML (sub, sup, i)."""

    title: str
    words: str
    formula: str
    source: str
    by_chance: str


EXPLANATIONS: dict[str, Explanation] = {
    "spectra": Explanation(
        "Is the change low-rank?",
        "LoRA supposes that the change full fine-tuning would make has few strong directions: look how steeply its line falls, "
        "and at the rank that holds 90 % of it. LoRA's line ends at its r by construction, so only its height and slope say "
        "something.",
        "ΔW = U diag(σ) V<sup>T</sup>; the least k with σ<sub>1</sub>² + … + σ<sub>k</sub>² ≥ 0.9 ‖ΔW‖<sub>F</sub>². "
        "LoRA's σ come from the QR factors of B and A<sup>T</sup>, without forming BA.",
        "Hu et al. 2021 (2106.09685), section 4.1; Gavish and Donoho 2014 (1305.5870) for the denoised rank.",
        "The line of random numbers falls slowly and has no knee: half of a square matrix's directions hold 90 %, and its "
        "denoised rank is 0.",
    ),
    "growth": Explanation(
        "When did the directions appear?",
        "Move through the steps: the solid line is the change at that step, the dotted one at the end. Directions that rise "
        "early and stay far above the others are what the task asked for; those that creep up together are mostly noise.",
        "σ<sub>1</sub> ≥ σ<sub>2</sub> ≥ … of ΔW after each step, all r of LoRA's and the 12 largest of full's.",
        "Hu et al. 2021 (2106.09685), section 4.1: B starts at zero, so LoRA's change starts without any direction.",
        "A random walk raises all singular values alike, as the square root of the steps.",
    ),
    "overlap_full": Explanation(
        "Did LoRA find full fine-tuning's directions?",
        "Each cell asks how much of LoRA's first i directions lies in full's first j: compare it with the same cell on the "
        "right. A bright top row means that LoRA's strongest direction is among full's; a left half like the right one means "
        "that they found different ways to the same answers.",
        "φ(i, j) = ‖V<sub>i</sub><sup>T</sup> V′<sub>j</sub>‖<sub>F</sub>² / min(i, j), V and V′ the right singular vectors "
        "of the two changes; 0 is no shared direction, 1 is one inside the other.",
        "Hu et al. 2021 (2106.09685), section 7.2, equation 4 and figure 3.",
        "Two random subspaces of R<sup>d</sup> share max(i, j) / d on average: at d = 192 that is 0.33 for j = 64.",
    ),
    "overlap_seeds": Explanation(
        "Do two LoRAs find the same directions?",
        "Both started from different random matrices A, so what they share was asked for by the data. In the paper two seeds "
        "share few directions, more of the query than of the value; the rest of r went to noise.",
        "φ(i, j) as above, between the changes of two seeds.",
        "Hu et al. 2021 (2106.09685), section 7.2, figure 4.",
        "max(i, j) / d; at r = 8 and d = 192 at most 0.04.",
    ),
    "overlap_frozen": Explanation(
        "Does the change repeat the frozen weight?",
        "A change that made W₀'s own strong directions stronger would be bright here. It is usually darker than chance in the "
        "first rows: fine-tuning strengthens directions that are there but weak.",
        "φ(i, j) between the change's and W₀'s right singular vectors.",
        "Hu et al. 2021 (2106.09685), section 7.3.",
        "max(i, j) / d, as for any two subspaces that know nothing of each other.",
    ),
    "amplification": Explanation(
        "How much is amplified?",
        "The change is compared with what W₀ does in the change's own directions. A factor of 20, as in the paper's GPT-3, means "
        "that a faint feature was made 20 times as strong; below 1 the weight was only adjusted.",
        "‖ΔW<sub>r</sub>‖<sub>F</sub> / ‖U<sub>r</sub><sup>T</sup> W₀ V<sub>r</sub>‖<sub>F</sub>, U<sub>r</sub> and "
        "V<sub>r</sub> the top r singular vectors of ΔW.",
        "Hu et al. 2021 (2106.09685), section 7.3, table 7.",
        "Random directions meet r ‖W₀‖<sub>F</sub> / √(out · in) of W₀ on average: the factor beside ours is for them.",
    ),
    "intruders": Explanation(
        "Are there intruder dimensions?",
        "Each row is one of the ten strongest directions of the tuned weight, each column one of W₀'s: a bright diagonal means "
        "that training kept the old directions. A row without a bright cell is an intruder, a strong direction the pretrained "
        "weight never had; they go along with forgetting.",
        "A left singular vector u<sub>i</sub> of W₀ + ΔW, i ≤ 10, is an intruder if "
        "max<sub>j</sub> |cos(u<sub>i</sub>, u<sup>0</sup><sub>j</sub>)| &lt; 0.5.",
        "Shuttleworth et al. 2024 (2410.21228).",
        "A random direction's best cosine is about 0.21 at d = 192, well below 0.5: every one would count.",
    ),
    "sizes": Explanation(
        "Where does the change sit?",
        "Each cell is one matrix, and its number says how far training moved it, in percent of its own size: click one to see "
        "that layer. Empty cells were not adapted; LoRA tends to move few "
        "matrices far, full all of them a little.",
        "‖ΔW‖<sub>F</sub> / ‖W₀‖<sub>F</sub>",
        "Hu et al. 2021 (2106.09685), section 7.1, asks which matrices to adapt.",
        "Rounding weights to bfloat16 moves each by about 0.17 %: what is smaller than that would be lost in it.",
    ),
    "ranks": Explanation(
        "How does the rank grow with depth?",
        "A point is one matrix, and the line joins each lane's medians. Where full's line lies far above LoRA's r, full used "
        "directions that LoRA could not; the truncation below says whether they mattered.",
        "The least k with σ<sub>1</sub>² + … + σ<sub>k</sub>² ≥ 0.9 ‖ΔW‖<sub>F</sub>², for every matrix.",
        "Biderman et al. 2024 (2405.09673) find full fine-tuning's rank 10 to 100 times that of usual LoRA settings.",
        "A random 192 × 192 matrix needs 99 directions for 90 %, a 768 × 192 one 147.",
    ),
    "truncation": Explanation(
        "What rank was enough?",
        "Every matrix's change is cut to its k strongest directions and the network asked again; the curve is flat from the rank "
        "that was enough. At k = 0 only biases, norms, embeddings and the head are as trained, at the last k everything is.",
        "W₀ + Σ<sub>i ≤ k</sub> σ<sub>i</sub> u<sub>i</sub> v<sub>i</sub><sup>T</sup> in every layer",
        "Eckart and Young 1936: nothing of rank k is nearer; Hu et al. 2021 (2106.09685), section 7.2, for the question.",
        "Bars are 95 % intervals of 500 images, 3 to 4 points either way: what differs by less may be luck.",
    ),
    "forgetting": Explanation(
        "What was forgotten?",
        "The backbone's own head is put back on each lane's weights and asked what it knew before, the 200 classes of "
        "Tiny-ImageNet. The head lane has lost nothing by construction; the more a lane changed the body, the more it may lose.",
        "accuracy before − accuracy after, on 1,000 images",
        'Biderman et al. 2024 (2405.09673), "LoRA Learns Less and Forgets Less".',
        "The same images are asked each time, and a backbone left alone loses exactly 0; guessing gets 0.5 %.",
    ),
}
