"""What surrounds the code: versions that agree, and files for a host of repositories that say only
what is there."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from parity_tests.tests import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
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
        values = job.get("strategy", {}).get("matrix", {}).get("target", [""])
        if "run" in step:
            yield from (step["run"].replace("${{ matrix.target }}", value) for value in values)


def test_there_are_workflows_and_forms() -> None:
    assert {path.stem for path in WORKFLOWS} == {"ci", "release"}
    config = GITHUB / "ISSUE_TEMPLATE" / "config.yml"
    assert {*FORMS, config} == set(config.parent.iterdir())
    assert read(config) == {"blank_issues_enabled": True}


def test_versions_agree() -> None:
    versions = {"CITATION.cff": str(read(ROOT / "CITATION.cff")["version"])}
    for package in ("focal_jax", "focal_torch"):
        tree = ast.parse((ROOT / package / "__init__.py").read_text())
        (versions[package],) = (
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
        )
    heading = re.search(
        r"^## (\S+), (unreleased|\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert heading, "the changelog begins with a version and its date"
    versions["CHANGELOG.md"] = heading[1]
    assert versions == dict.fromkeys(versions, PROJECT["version"])


def test_ruff_is_one_version_everywhere() -> None:
    hooks = [
        hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]
    ]
    (pinned,) = (
        line for line in PROJECT["optional-dependencies"]["dev"] if line.startswith("ruff")
    )
    assert len(hooks) == 2
    assert [hook["additional_dependencies"] for hook in hooks] == [[pinned]] * 2
    assert pinned in (ROOT / "constraints.txt").read_text().splitlines()
    assert all(hook["entry"].split()[0] == "ruff" for hook in hooks)


def exists(command: str) -> bool:
    program, *words = command.split()
    return command in PROGRAMS or (program == "make" and words[0] in TARGETS)


def test_a_command_of_a_workflow_exists() -> None:
    assert [command for command in commands() if not exists(command)] == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert {"demo", "docs", "test", "lint", "extras", "dist"} <= TARGETS
    assert exists("make demo")
    assert not any(
        map(exists, ("make deploy", "make READY", "make vectors:", "tox", "pipx run tox"))
    )


def test_every_test_of_the_readme_is_run_by_a_workflow() -> None:
    run = {command.split()[1] for command in commands() if command.startswith("make ")}
    assert {
        "demo",
        "docs",
        "dist",
        "extras",
        "lint",
        "test",
        "test-quick",
        "test-slow",
        "versions",
    } <= run


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
        assert job.get("permissions", {}) == (
            {"id-token": "write"} if name == "release: publish" else {}
        )
    # A name of a branch or tag in a command would be run as part of it.
    assert not [command for command in commands() if "${{" in command]


def test_quick_tests_are_run_with_every_python_that_is_promised() -> None:
    promised = [
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line)
        for line in PROJECT["classifiers"]
    ]
    pythons = read(GITHUB / "workflows" / "ci.yml")["jobs"]["quick"]["strategy"]["matrix"]["python"]
    assert [found[1] for found in promised if found] == pythons


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
    needed = {"authors", "cff-version", "message", "title"}
    known = needed | {"abstract", "keywords", "license", "references", "type", "version"}
    assert needed <= cited.keys() <= known
    assert (cited["cff-version"], cited["type"]) == ("1.2.0", "software")
    assert (cited["license"], cited["authors"]) == (PROJECT["license"], PROJECT["authors"])
    assert cited["title"] == PROJECT["name"]
    assert cited["abstract"] == PROJECT["description"]
    for reference in cited["references"]:
        assert {"authors", "title", "type"} <= reference.keys()


def test_no_file_of_the_host_has_an_invented_address() -> None:
    for path in (
        *GITHUB.rglob("*.yml"),
        *GITHUB.rglob("*.md"),
        ROOT / "SECURITY.md",
        ROOT / ".pre-commit-config.yaml",
    ):
        assert not re.search(r"https?://|@[\w-]+\.\w", path.read_text()), path
    assert "urls" not in PROJECT
