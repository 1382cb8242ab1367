"""Hypothesis for a shared machine: no deadlines, and few enough examples to keep the suite quick."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "matrices", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("matrices")
