"""What an error message must look like."""

from __future__ import annotations

import re


def is_one_sentence(message: str) -> bool:
    """One line, not empty, that nothing follows."""
    return bool(message.strip()) and "\n" not in message and not re.search(r"[.!?] +[A-Z]", message)
