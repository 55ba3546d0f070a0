"""Amounts for a person: bytes, seconds and counts in few words, never rounded to nothing."""

from __future__ import annotations

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def bytes_text(size: int) -> str:
    """Return a size as people read it: exact below 10 KiB, else to a tenth of a unit.

    What is a whole number of a larger unit is said in that unit.
    """
    if size < 10 << 10 and (size % 1024 or not size):
        return "1 byte" if size == 1 else f"{size:,} bytes"
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if amount == int(amount) else f"{amount:.1f} {_UNITS[unit]}"


def seconds_text(seconds: int) -> str:
    """Return a time in its two largest units."""
    parts = []
    for name, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(plural(count, name))
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 seconds"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: 1 file, 2 files."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
