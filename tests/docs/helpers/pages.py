"""The code blocks of the documentation pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
PAGES: Final = tuple(
    path.relative_to(ROOT).as_posix()
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *sorted((ROOT / "docs").glob("*.md")),
    )
)
_FENCED: Final = re.compile(r"(?ms)^```([^\n]*)\n(.*?)^```$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    :param language: what stands after the fence; empty for none.
    :param line: where it begins, from 1.
    """

    page: str
    line: int
    language: str
    text: str

    def follows(self, block: Block) -> bool:
        """Whether it follows `block` after one empty line."""
        return self.line <= block.line + block.text.count("\n") + 3

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str, *languages: str) -> list[Block]:
    """The blocks of a page in these languages, or all."""
    content = (ROOT / page).read_text()
    found = [
        Block(page, content.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in _FENCED.finditer(content)
    ]
    return [block for block in found if not languages or block.language in languages]


def commands(block: Block) -> list[str]:
    """The commands of a block, one per line: continued lines are joined, comments removed."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
