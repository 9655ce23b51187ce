"""The one exception of this package."""


class SynthError(Exception):
    """Synthesis could not be done; the message is one sentence that names what is wrong."""
