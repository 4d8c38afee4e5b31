"""The documentation holds together: links, anchors, study files, options, imports."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from medtransfer.cli.command_line import cli
from medtransfer.core.locations import CACHE_VARIABLE, DATA_VARIABLE, STORE_VARIABLE, WEIGHTS_VARIABLE
from medtransfer.data.problem_codes import PROBLEM_CODES
from medtransfer.protocols.registry import protocols
from medtransfer.store.location import ARTIFACTS_VARIABLE
from medtransfer.study.study import Study
from medtransfer.study.study_file import StudyFile
from medtransfer.tasks.own_data_declaration import OwnData, parse_own_data

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SITE = sorted(DOCS.rglob("*.md"))
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *SITE])
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
SHARED_KEYS = {
    "name": "page",
    "tasks": ["breastmnist"],
    "models": ["resnet20.random"],
    "protocols": ["linear"],
}
REGISTRIES = tuple(
    name + rest
    for name, rest in (
        ("pypi", ".org"),
        ("python", "hosted"),
        ("simple", "/"),
        ("index", "-url"),
        ("ana", "conda"),
        ("conda", "-forge"),
        ("docker", ".io"),
        ("ghcr", ".io"),
    )
)
"""Written in two parts, so that this file names none either."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """The page without its code, where brackets are no links."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as mkdocs and code hosts form them, and those it sets itself."""
    outside = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.+?)\s*$", outside, re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", title.lower()).strip() for title in titles]
    own = re.findall(r'<a id="([^"]+)"></a>', outside)
    return {re.sub(r"[-\s]+", "-", title) for title in plain} | set(own)


def links(page: Path) -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", prose_of(page))
    return [link for link in found if not link.startswith(("http://", "https://"))]


# Links


@every_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", SITE, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_page_links_nothing_outside_the_site(page: Path) -> None:
    """The built site holds only what is below ``docs/``."""
    targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    assert [target for target in targets if not target.is_relative_to(DOCS)] == []


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r"[\w/-]+\.md", text_of(ROOT / "mkdocs.yml"))
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in SITE)
    assert len(set(listed)) == len(listed)


@every_page
def test_no_page_names_a_package_registry(page: Path) -> None:
    assert [name for name in REGISTRIES if name in text_of(page)] == []


# Study files


def yaml_blocks() -> Iterator[pytest.ParameterSet]:
    for page in PAGES:
        for number, block in enumerate(blocks(page, "yaml")):
            yield pytest.param(block, id=f"{page.relative_to(ROOT).as_posix()}-{number}")


@pytest.mark.parametrize("block", list(yaml_blocks()))
def test_every_study_shown_is_one_the_program_takes(block: str) -> None:
    content = yaml.safe_load(block)
    study = Study.parse({**SHARED_KEYS, **content})
    assert study.blocks
    assert set(content) <= set(StudyFile.model_fields)


def test_the_lungs_example_is_that_of_the_shipped_study_and_takes_six_lines() -> None:
    shipped = yaml.safe_load((ROOT / "studies" / "first-light.yaml").read_text())["tasks"][0]
    for page in (ROOT / "README.md", ROOT / "docs" / "own-data.md"):
        shown = [yaml.safe_load(block) for block in blocks(page, "yaml")]
        assert shipped in [task for content in shown for task in content.get("tasks", [])], page.name
    assert len(shipped["lungs"]) == 6
    assert parse_own_data("lungs", shipped["lungs"]).is_segmentation


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_shipped_study_is_one_the_program_takes(path: Path) -> None:
    study = Study.read(path)
    assert study.name == path.stem
    assert text_of(path).startswith("# ")


# Completeness


def commands(
    group: click.Group = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def section(page: Path, title: str) -> str:
    """Return the part of a page from a heading of the second level to the next."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text_of(page), re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no section {title!r}"
    return found.group(1)


@pytest.mark.parametrize(
    ("path", "command"),
    list(commands()),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_command_line_page_names_every_command_option_and_variable(
    path: tuple[str, ...], command: click.Command
) -> None:
    shown = section(ROOT / "docs" / "command-line.md", path[0])
    assert f"medtransfer {' '.join(path)}" in shown
    for parameter in command.params:
        assert isinstance(parameter, click.Option | click.Argument)
        if isinstance(parameter, click.Option):
            for name in parameter.opts:
                assert re.search(rf"`{re.escape(name)}\b", shown), name
        else:
            assert (parameter.metavar or str(parameter.name).upper()).strip("[]") in shown


def test_the_command_line_page_names_no_option_that_is_not_there() -> None:
    known = {name for _, command in commands() for parameter in command.params for name in parameter.opts}
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text_of(ROOT / "docs" / "command-line.md")))
    assert shown - known == {"--help", "--version"}


def test_the_command_line_page_names_every_variable() -> None:
    page = text_of(ROOT / "docs" / "command-line.md")
    names = (STORE_VARIABLE, DATA_VARIABLE, WEIGHTS_VARIABLE, CACHE_VARIABLE, ARTIFACTS_VARIABLE)
    assert [name for name in names if f"`{name}`" not in page] == []


def test_the_own_data_page_explains_every_key_and_every_problem_code() -> None:
    page = text_of(ROOT / "docs" / "own-data.md")
    assert [key for key in OwnData.model_fields if f"`{key}`" not in page] == []
    rows = dict(
        re.findall(
            r"^\| `([\w-]+)` \| (.+?) \|$",
            section(ROOT / "docs" / "own-data.md", "What is checked"),
            re.MULTILINE,
        )
    )
    assert rows == dict(PROBLEM_CODES)


@pytest.mark.parametrize("name", protocols.names())
def test_the_study_file_page_names_every_key_and_every_setting(name: str) -> None:
    page = text_of(ROOT / "docs" / "study-file.md")
    assert [key for key in StudyFile.model_fields if f"`{key}`" not in page] == []
    fields = protocols.get(name).model_fields  # type: ignore[attr-defined]
    assert f"`{name}`" in page
    assert [field for field in fields if f"`{field}`" not in page] == []


# Python


def top_level_names(module: str) -> set[str]:
    """The names a module defines or imports, read from its text: importing all of them would cost seconds."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None
    names: set[str] = set()
    for node in ast.parse(Path(spec.origin).read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@every_page
def test_every_import_of_an_example_exists(page: Path) -> None:
    shown = blocks(page, "python")
    own = {
        place.removeprefix("src/").removesuffix(".py").replace("/", ".")
        for place in re.findall(r"^# (src/\S+\.py)$", "\n".join(shown), re.MULTILINE)
    }
    for node in (node for block in shown for node in ast.walk(ast.parse(block))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medtransfer"):
            assert node.module is not None
            if node.module not in own:
                assert {alias.name for alias in node.names} <= top_level_names(node.module), node.module
