"""The colours, the line styles and the one frame every chart stands in.

A colour means a lane and nothing else (Okabe and Ito's set, told apart by everybody); each lane has a line style too, so that
plots survive a grey projector. Figures carry the tones for paper; the page swaps them for `DARK_TONES` on the dark theme.
"""

import plotly.graph_objects as go

FULL, LORA, HEAD, FROZEN = "#0072B2", "#D55E00", "#009E73", "#8A8A8A"
INK, MUTED = "#1C1917", "#6B6660"
LANE_COLOURS = {"full": FULL, "lora": LORA, "head": HEAD}
LANE_NAMES = {"full": "full", "lora": "LoRA", "head": "head only"}
LANE_LINES = {
    "full": {"color": FULL, "dash": "solid", "width": 2.5},
    "lora": {"color": LORA, "dash": "solid", "width": 4},
    "head": {"color": HEAD, "dash": "dash", "width": 2.5},
}
MATRIX_SCALE = "RdBu_r"  # diverges around zero; give it one limit whenever matrices are compared

DARK_TONES = {FULL: "#56B4E9", LORA: "#FF8A3D", HEAD: "#2BC79A", INK: "#F5F5F4", MUTED: "#A8A29A"}


def framed(figure: go.Figure, title: str, height: int = 300) -> go.Figure:
    """Put `figure` in the frame all charts share: the title says what is seen, no box, a light grid, text for the back row."""
    figure.update_layout(
        title={"text": title, "x": 0, "xanchor": "left", "font": {"size": 17}},
        template="none",
        height=height,
        margin={"l": 52, "r": 24, "t": 40, "b": 46},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
        hovermode="closest",
        font={"family": "Source Sans Pro, system-ui, sans-serif", "size": 15, "color": MUTED},
        uirevision="keep",
    )
    grid = {"gridcolor": "rgba(128,128,128,.16)", "zeroline": False, "ticks": "", "automargin": True}
    figure.update_xaxes(**grid)
    figure.update_yaxes(**grid)
    return figure
