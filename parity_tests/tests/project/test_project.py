"""What surrounds the code: versions that agree, and files for a host of repositories that say only
what is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from parity_tests.tests import ROOT

from .extras_closure import PROJECT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = [GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml" for name in ("number", "verdict")]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
# Those that the machines of the host have.
PROGRAMS = {"pipx run twine check --strict out/dist/*"}
ACTION = re.compile(r"actions/(checkout|setup-python|upload-artifact|download-artifact)@v\d+")
PUBLISH = "pypa/gh-action-pypi-publish@release/v1"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield f"{path.stem}: {name}", job


def steps() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each step with its job."""
    for _, job in jobs():
        for step in job["steps"]:
            yield step, job


def commands() -> Iterator[str]:
    """What the steps run, once for each value of a matrix."""
    for step, job in steps():
        if "run" not in step:
            continue
        matrix = job.get("strategy", {}).get("matrix", {})
        for target in matrix.get("target", [""]):
            yield step["run"].replace("${{ matrix.target }}", target)


def test_there_are_workflows_and_forms() -> None:
    assert {path.stem for path in WORKFLOWS} == {"ci", "release"}
    config = GITHUB / "ISSUE_TEMPLATE" / "config.yml"
    assert {*FORMS, config} == set(config.parent.iterdir())
    assert read(config) == {"blank_issues_enabled": True}


@pytest.mark.parametrize("package", ["focal_jax", "focal_torch"])
def test_the_version_of_a_package_is_that_of_the_project(package: str) -> None:
    source = (ROOT / package / "__init__.py").read_text()
    assert re.findall(r'^__version__ = "(.*)"$', source, re.M) == [PROJECT["version"]]


def test_the_changelog_and_the_citation_are_about_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    heading = re.search(r"^## (\S+), (unreleased|\d{4}-\d{2}-\d{2})$", changelog, re.M)
    assert heading, "the changelog begins with a version and its date"
    assert heading[1] == PROJECT["version"]
    assert str(read(ROOT / "CITATION.cff")["version"]) == PROJECT["version"]


def test_ruff_is_one_version_everywhere() -> None:
    dev = PROJECT["optional-dependencies"]["dev"]
    (pinned,) = (line for line in dev if line.startswith("ruff"))
    assert pinned in (ROOT / "constraints.txt").read_text().splitlines()
    repos = read(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = [hook for repo in repos for hook in repo["hooks"]]
    assert len(hooks) == 2
    for hook in hooks:
        assert hook["additional_dependencies"] == [pinned]
        assert hook["entry"].split()[0] == "ruff"


def exists(command: str) -> bool:
    program, *words = command.split()
    return command in PROGRAMS or (program == "make" and words[0] in TARGETS)


def test_a_command_of_a_workflow_exists() -> None:
    assert [command for command in commands() if not exists(command)] == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert {"demo", "docs", "test", "lint", "extras", "dist"} <= TARGETS
    assert exists("make demo")
    for command in ("make deploy", "make READY", "make vectors:", "tox", "pipx run tox"):
        assert not exists(command)


def test_every_test_of_the_readme_is_run_by_a_workflow() -> None:
    run = {command.split()[1] for command in commands() if command.startswith("make ")}
    tests = {"test", "test-quick", "test-slow"}
    assert tests | {"demo", "docs", "dist", "extras", "lint", "versions"} <= run


def test_actions_are_known_and_pinned_to_a_major_version() -> None:
    for step, _ in steps():
        assert ("uses" in step) != ("run" in step), step
        if "uses" in step:
            assert ACTION.fullmatch(step["uses"]) or step["uses"] == PUBLISH


def test_jobs_end_and_may_only_read() -> None:
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {"contents": "read"}
    for name, job in jobs():
        assert job["timeout-minutes"] <= 360, name
        # PyPI knows the one that publishes by a token of the host.
        allowed = {"id-token": "write"} if name == "release: publish" else {}
        assert job.get("permissions", {}) == allowed
    # A name of a branch or tag in a command would be run as part of it.
    assert not [command for command in commands() if "${{" in command]


def test_quick_tests_are_run_with_every_python_that_is_promised() -> None:
    classifiers = "\n".join(PROJECT["classifiers"])
    promised = re.findall(r"^Programming Language :: Python :: (3\.\d+)$", classifiers, re.M)
    quick = read(GITHUB / "workflows" / "ci.yml")["jobs"]["quick"]
    assert quick["strategy"]["matrix"]["python"] == promised


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_for_what_is_needed(path: Path) -> None:
    form = read(path)
    assert form.keys() == {"name", "description", "labels", "body"}
    for question in form["body"]:
        assert question["type"] in ("input", "textarea")
        assert question["attributes"]["label"]
        assert question["validations"] == {"required": True}
    ids = [question["id"] for question in form["body"]]
    assert len(set(ids)) == len(ids)
    assert ("json" in ids) == (path.stem == "verdict")


def test_the_citation_has_the_fields_of_its_schema() -> None:
    """Those of version 1.2.0 of the Citation File Format that are required, and no others than it
    has."""
    cited = read(ROOT / "CITATION.cff")
    required = {"authors", "cff-version", "message", "title"}
    known = required | {"abstract", "keywords", "license", "references", "type", "version"}
    assert required <= cited.keys() <= known
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert cited["license"] == PROJECT["license"]
    assert cited["authors"] == PROJECT["authors"]
    assert cited["title"] == PROJECT["name"]
    assert cited["abstract"] == PROJECT["description"]
    for reference in cited["references"]:
        assert {"authors", "title", "type"} <= reference.keys()


def test_no_file_of_the_host_has_an_invented_address() -> None:
    files = [*GITHUB.rglob("*.yml"), *GITHUB.rglob("*.md")]
    files += [ROOT / "SECURITY.md", ROOT / ".pre-commit-config.yaml"]
    for path in files:
        assert not re.search(r"https?://|@[\w-]+\.\w", path.read_text()), path
    assert "urls" not in PROJECT
