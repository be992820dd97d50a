"""README.md leads to every page of docs/."""

from __future__ import annotations

from harness.build.paths import project_root


def test_every_page_is_in_the_table() -> None:
    table = project_root().joinpath("README.md").read_text().split("## Where to read on")[1]
    pages = sorted(path.name for path in (project_root() / "docs").glob("*.md"))
    assert [name for name in pages if f"| [docs/{name}](docs/{name}) |" not in table] == []
