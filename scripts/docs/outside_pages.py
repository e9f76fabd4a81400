"""A hook of MkDocs: pages that lie outside ``docs``, and the links to and from them.

README.md and others are read where the sources are, and written once. The site shows them too.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OUTSIDE_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "src/napari_sam2_openvino/starter/MODEL_CARD.md": "model-card.md",
}
_HOMES = {(ROOT / source).resolve(): page for source, page in OUTSIDE_PAGES.items()}
# The target of a link or picture that is a file, and its anchor.
_LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Add the pages from outside to the site."""
    from mkdocs.structure.files import File

    for source, page in OUTSIDE_PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Turn links that hold among the sources into links that hold on the site."""
    del config, files
    assert page.file.abs_src_path is not None
    return site_links(markdown, Path(page.file.abs_src_path).resolve())


def site_links(markdown: str, source: Path) -> str:
    """Return the text of a page with its links to files as the flat site has them.

    Parameters
    ----------
    markdown : str
    source : Path
        The file that the text is from; links are relative to it.

    Returns
    -------
    str
        Links to files that the site lacks stay as they are, for MkDocs to complain of.
    """

    def moved(link: re.Match[str]) -> str:
        target = (source.parent / link[1]).resolve()
        if target in _HOMES:
            place = _HOMES[target]
        elif target.is_relative_to(DOCS):
            place = os.fspath(target.relative_to(DOCS).as_posix())
        else:
            place = link[1]
        return f"]({place}{link[2] or ''})"

    return _LINK.sub(moved, markdown)
