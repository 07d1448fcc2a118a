"""The runbook's entries for the dashboard, which shows them next to the graphs."""

from __future__ import annotations

import re
from pathlib import Path

_HERE = Path(__file__).resolve().parent
# In the wheel, or in the repository.
_PAGE = next(
    path for path in (_HERE / "runbook.md", _HERE.parent / "docs" / "runbook.md") if path.is_file()
)


def entries() -> tuple[str, dict[str, str]]:
    """Return the page's introduction, and the text of each entry by its alarm's name."""
    begins, *parts = re.split(r"^## (\w+)\n", _PAGE.read_text(), flags=re.MULTILINE)
    texts = {name: _plain(text) for name, text in zip(parts[::2], parts[1::2], strict=True)}
    return _plain(begins.partition("\n")[2]), texts


def _plain(text: str) -> str:
    """Remove links to other places in the docs, since a dashboard cannot follow them."""
    text = re.sub(r"\[([^\]]+)\]\(#\w+\)", r"\1", text)
    return re.sub(r"\[([^\]]+)\]\(([\w-]+\.md)[^)]*\)", r"\1 (docs/\2)", text).strip()
