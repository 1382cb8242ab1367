"""The X-ray of a run: what training changed, what rank was enough, and what was forgotten.

changes        a record's weights: every layer's change, as factors where it has them
spectra, subspaces, intruders       what one layer's change looks like
report         all of it, layer by layer: `xray(record)`
evaluation, truncation, forgetting  what the network still gets right
explanations   what to look at in each view; needs no torch
"""
