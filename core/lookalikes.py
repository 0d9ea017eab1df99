# ruff: noqa: RUF001, RUF002 - look-alike letters are what this is about
"""Text that reads as something else than it is: letters of one script that look like another's, and characters that
nobody sees.

Which letters look alike is taken from the Unicode consortium's security mechanisms (UTS #39), for the scripts that
people meet: Latin, Greek, Cyrillic, Armenian. Styled and wide forms are found by Unicode's own normalisation.
"""

import re
import unicodedata

_ALIKE = {
    "2": "Ƨ", "3": "ƷЗӠ", "5": "Ƽ", "6": "б", "8": "ȣȢ", "A": "ΑА", "B": "ΒВ", "C": "СϹ", "E": "ΕЕ", "F": "Ϝ",
    "G": "Ԍ", "H": "ΗН", "I": "ΙІӀ", "J": "ͿЈ", "K": "ΚК", "M": "ΜϺМ", "N": "Ν", "O": "ΟОՕ", "P": "ΡР", "R": "Ʀ",
    "S": "ЅՏ", "T": "ΤТ", "U": "Ս", "V": "Ѵ", "W": "Ԝ", "X": "ΧХ", "Y": "ΥУҮ", "Z": "Ζ", "a": "ɑαа", "b": "ƄЬ",
    "c": "ᴄсϲ", "d": "ԁ", "e": "еҽ", "f": "ẝք", "g": "ɡᶃƍց", "h": "һհ", "i": "ıɪɩιіӏ", "j": "ϳј", "l": "ƖǀӀ",
    "n": "ոռ", "o": "ᴏᴑοσоօ", "p": "ρр", "q": "ԛգզ", "r": "ᴦг", "s": "ƽѕ", "u": "ʋυս", "v": "ᴠνѵ", "w": "ɯᴡѡԝա",
    "x": "х", "y": "ɣʏỿγуү", "z": "ᴢ",
}  # fmt: skip
_READ_AS = {ord(each): plain for plain, many in _ALIKE.items() for each in many}
_WORD = re.compile(r"[^\W_]+(?:[.@-][^\W_]+)*")
_PUNYCODE = re.compile(r"\bxn--[a-z0-9-]+", re.IGNORECASE)
_TURKISH = re.compile("[şğçöüİŞĞÇÖÜ]")
_DRESSES = frozenset({"<font>", "<wide>", "<circle>", "<square>"})
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that count as letters, marks or symbols, and show nothing."""
_JOINER, _STYLE = "\u200d", "\ufe0f"


def unseen(char: str) -> bool:
    """Does this character draw nothing, or change how others are drawn? Plain spaces and line ends do not count."""
    if char.isprintable():
        return char in _FILLERS or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF
    return not char.isspace() or char in "\x1c\x1d\x1e\x1f\x85"


def marked(text: str) -> str:
    """`text` on one line, with what would not be seen made visible as `‹U+202E›`. Emoji keep their joined forms."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    shown: list[str] = []
    for position, char in enumerate(text):
        if not unseen(char):
            shown.append(char)
        elif not (char in (_JOINER, _STYLE) and position and _is_symbol(text[position - 1])):
            shown.append(f"‹U+{ord(char):04X}›")
    return " ".join("".join(shown).split())


def hidden(text: str) -> list[str]:
    """The names of the characters in `text` that `marked` makes visible, each once."""
    if text.isascii() and text.isprintable():
        return []
    found = {
        char: None
        for position, char in enumerate(text)
        if unseen(char) and not (char in (_JOINER, _STYLE) and position and _is_symbol(text[position - 1]))
    }
    return [f"U+{ord(char):04X} {unicodedata.name(char, 'a control character').lower()}" for char in found]


def _is_symbol(char: str) -> bool:
    return char in (_JOINER, _STYLE) or unicodedata.category(char) in ("So", "Sk")


def disguised(text: str) -> list[tuple[str, str]]:
    """Words that read as other words: each as it is, and as it reads.

    A word in one other script is in doubt only when it stands alone: a text in Russian or Greek is just that.
    """
    found = [(name, _decoded(name)) for name in _PUNYCODE.findall(text)]
    if text.isascii():
        return found
    words = _WORD.findall(text)
    alike = _READ_AS.keys() - ({ord("ı")} if _TURKISH.search(text) else set())
    for word in dict.fromkeys(words):
        suspect = any(ord(char) in alike or _is_styled(char) for char in word)
        latin = any(char.isascii() and char.isalpha() for char in word) or any(map(_is_styled, word))
        plain = unicodedata.normalize("NFKC", word).translate(_READ_AS)
        if suspect and (latin or (len(words) == 1 and len(word) > 1 and plain.isascii())):
            found.append((word, plain))
    return found


def _is_styled(char: str) -> bool:
    """Is it a plain letter in another dress: wide, bold, in a circle?"""
    dress = unicodedata.decomposition(char).partition(" ")[0]
    return dress in _DRESSES and unicodedata.category(char)[0] in "LS"


def _decoded(name: str) -> str:
    try:
        return name.encode().decode("idna")
    except UnicodeError:
        return "nothing that can be read"


def scripts(word: str) -> str:
    """The scripts of its letters that are not ASCII, in words."""
    names = {unicodedata.name(char, "").split(" ")[0].capitalize() for char in word if not char.isascii()}
    return " and ".join(sorted(filter(None, names))) or "other"


def turned(text: str) -> bool:
    """Does it hold letters that are written from right to left, so that its parts may be drawn in another order?"""
    return not text.isascii() and any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text)


def stacked(text: str) -> bool:
    """Do marks pile up on one letter, to cover what stands around it?"""
    run = 0
    for char in text if not text.isascii() else "":
        run = run + 1 if unicodedata.combining(char) else 0
        if run > 4:
            return True
    return False
