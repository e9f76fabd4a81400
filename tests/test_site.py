"""Pages that are made from the code are those of the code, and links hold on the site."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# Placeholders alone match anything.
FEWEST_LETTERS = 15


@pytest.fixture(scope="module")
def site_scripts():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts" / "docs"))
        yield importlib.import_module


@pytest.mark.parametrize("name", ["cli.md", "parameters.md"])
def test_pages_made_from_the_code_are_current(name, site_scripts):
    wanted = site_scripts("reference").PAGES[name]()
    is_current = DOCS.joinpath(name).read_text(encoding="utf-8") == wanted
    assert is_current, "run `python scripts/docs/reference.py`"


@pytest.mark.parametrize(
    ("source", "link", "on_site"),
    [
        ("README.md", "[a](docs/models.md#the-starter)", "[a](models.md#the-starter)"),
        ("README.md", "![a](docs/images/batch.png)", "![a](images/batch.png)"),
        ("docs/models.md", "[a](../CONTRIBUTING.md#set-up)", "[a](contributing.md#set-up)"),
        ("docs/models.md", "[a](batch.md)", "[a](batch.md)"),
        ("docs/models.md", "[a](#here)", "[a](#here)"),
        (
            "docs/models.md",
            "[a](https://example.org/docs/a.md)",
            "[a](https://example.org/docs/a.md)",
        ),
        ("docs/models.md", "[a](../scripts/test.py)", "[a](../scripts/test.py)"),
        (
            "src/napari_sam2_openvino/starter/MODEL_CARD.md",
            "[a](../../../docs/models.md)",
            "[a](models.md)",
        ),
    ],
)
def test_links_among_sources_become_links_of_the_site(source, link, on_site, site_scripts):
    assert site_scripts("outside_pages").site_links(link, ROOT / source) == on_site


@cache
def sentences() -> list[re.Pattern[str]]:
    """Return what every text of the sources matches, placeholders standing for anything."""
    found = []
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
            letters = "".join(text for text in texts if isinstance(text, str))
            if len(letters) >= FEWEST_LETTERS:
                pattern = "".join(
                    re.escape(text) if isinstance(text, str) else ".+?" for text in texts
                )
                found.append(re.compile(pattern, re.DOTALL))
    return found


def quoted() -> list[str]:
    page = DOCS.joinpath("troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"^> (.*)$", page, re.MULTILINE)


def test_there_are_sentences_to_look_up():
    assert len(quoted()) > 25
    assert not any(pattern.fullmatch("There is no such sentence.") for pattern in sentences())


@pytest.mark.parametrize("sentence", quoted())
def test_sentences_of_the_page_on_errors_are_those_of_the_code(sentence):
    assert any(pattern.fullmatch(sentence) for pattern in sentences())


def test_every_public_name_is_on_the_page_of_the_interface():
    import napari_sam2_openvino

    page = DOCS.joinpath("api.md").read_text(encoding="utf-8")
    documented = {
        name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE)
    }
    assert set(napari_sam2_openvino.__all__) <= documented
