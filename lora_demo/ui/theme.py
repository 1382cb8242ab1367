"""Ink, paper, three colours: the theme. What a theme cannot say is in assets/front/style.css."""

import gradio as gr

# Weights 400 and 700 only: Gradio's semi-bold files are subsets, and half of a word would fall back to another face.
THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.orange,
    neutral_hue=gr.themes.colors.stone,
    radius_size=gr.themes.sizes.radius_sm,
    text_size=gr.themes.sizes.text_lg,
    font=(gr.themes.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif"),
    font_mono=(gr.themes.LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "monospace"),
).set(
    body_background_fill="#FCFBF9",
    body_background_fill_dark="#171615",
    body_text_color="#1C1917",
    body_text_color_subdued="#6B6660",
    body_text_color_subdued_dark="#A8A29A",
    block_background_fill="transparent",
    block_background_fill_dark="transparent",
    block_border_width="0px",
    block_shadow="none",
    block_label_background_fill="transparent",
    block_title_text_weight="400",
    block_title_text_color="*body_text_color",
    block_info_text_size="14px",
    input_background_fill="#FFFFFF",
    input_background_fill_dark="#22201E",
    input_padding="8px 10px",
    button_primary_background_fill="#B84A00",
    button_primary_background_fill_hover="#9A3E00",
    button_primary_background_fill_dark="#B84A00",
    button_primary_background_fill_hover_dark="#9A3E00",
    button_primary_text_color="#FFFFFF",
    button_primary_text_color_dark="#FFFFFF",
    button_large_padding="8px 14px",
    button_large_text_size="17px",
    button_large_text_weight="700",
    button_small_text_weight="400",
    slider_color="#B84A00",
    layout_gap="18px",
    checkbox_label_background_fill="transparent",
    checkbox_label_padding="5px 10px",
)
