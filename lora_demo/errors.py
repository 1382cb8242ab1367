"""The one error class that a person may read."""


class LabError(ValueError):
    """Something a person gave is wrong: the message is one sentence that says what and where.

    Each room raises a subclass of its own; the page shows the sentence and leaves what is there in place.
    """
