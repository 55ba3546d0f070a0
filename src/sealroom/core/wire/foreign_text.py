"""Printing text that others wrote: names, reasons, source code.

Control and bidirectional characters are shown as `<U+202E>` instead of obeyed, so that a file name cannot
move the cursor, and a line of code cannot look like another one.
"""

import unicodedata

# Everything without a plain glyph of its own: controls, format and bidirectional marks, surrogates, private
# and unassigned characters, line and paragraph separators, and spaces that are not the space.
_SHOWN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
# These have categories of letters or marks, and no glyph: invisible all the same.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800") | frozenset(
    chr(point) for start, end in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for point in range(start, end + 1)
)


def visible(text: str) -> str:
    """Return `text` on one line with every character that has no glyph replaced by its code point."""
    # Of ASCII, exactly the printable characters have a glyph: the common case, decided at once.
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def visible_lines(text: str) -> tuple[str, ...]:
    """Return the lines of `text`, split at line feeds alone, each made visible; tabs become four spaces."""
    return tuple(visible(line.replace("\t", "    ")) for line in text.split("\n"))


def _shown(character: str) -> str:
    if character == " ":
        return character
    if character in _INVISIBLE or unicodedata.category(character) in _SHOWN_CATEGORIES:
        return f"<U+{ord(character):04X}>"
    return character
