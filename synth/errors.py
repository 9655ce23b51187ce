"""The exceptions of this package."""


class SynthError(Exception):
    """Synthesis could not be done; the message is one sentence that names what is wrong."""


class TimeLimitError(SynthError):
    """A tool did not finish in the time it was given."""
