"""Plain data in, figures out: the one place that knows colours, line styles and axes."""
