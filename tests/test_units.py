"""Numbers as a person reads them."""

import pytest

from lora_demo.units import bytes_text, seconds_text, share_text, significant


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (24576, "24.6 kB"), (294912, "295 kB"), (999_600, "1.00 MB"), (1.2e12, "1.20 TB")],
)
def test_bytes_have_three_figures_and_a_decimal_unit(count, text):
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(3072, 36864, "8.3 %"), (98304, 150994944, "0.065 %"), (25, 24, "104 %"), (0, 5, "0 %")]
)
def test_shares_are_percentages_that_stay_visible_when_small(part, whole, text):
    assert share_text(part, whole) == text


@pytest.mark.parametrize(("seconds", "text"), [(2.5, "2.50 s"), (0.0036, "3.60 ms"), (0.000038, "38.0 µs"), (0, "0 s")])
def test_seconds_come_in_the_unit_that_fits(seconds, text):
    assert seconds_text(seconds) == text


def test_significant_figures_are_kept_without_an_exponent():
    assert [significant(value) for value in (0.00123456, 1234.5, 96.0)] == ["0.00123", "1,230", "96.0"]
