"""The head compiled for many chips that are not there: what each of them stores and sends.

One process per platform, each of which compiles two or three programs: see
`benchmarks/pods/command.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.aot import devices
from benchmarks.pods import cases
from benchmarks.pods import command as pods
from benchmarks.pods import table as pods_table
from benchmarks.pods.cases import GATHERED, IN_ALL, MIB, PER_CHIP, SLICES, Pod
from benchmarks.pods.collectives import Collective, Exchange
from benchmarks.pods.verdict import Measurement, failures, growth
from parity_tests.pages import make_readme
from parity_tests.tests import ROOT, markdown

POD = Pod("v5e:8x8", "float32", PER_CHIP, 16, 4)
# What such a head cannot do without: numbers of its rows from all that share them, and the sums of
# the gradients.
ROW_NUMBERS = Collective("all-gather", "f32[4,1,128]", 32)
FEATURES_SUM = Collective("all-reduce", "f32[1,128,512]", 16)
KERNEL_SUM = Collective("all-reduce", "(f32[], f32[512,32768])")
NEEDED = [ROW_NUMBERS, FEATURES_SUM, KERNEL_SUM]
GOOD = Measurement(POD, MIB, 16, NEEDED)
BAD = replace(GOOD, collectives=[*NEEDED, Collective("all-gather", "f32[2048,131072]")])
# The program that is known to be broken, which the command only reports.
REFUSED = replace(BAD, pod=replace(POD, chunk=GATHERED))

# As a compiler writes it: a loop of 16 steps with a gather that runs beside others, and a sum after
# it.
PROGRAM = """HloModule head

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%step (p: (s32[], f32[128])) -> (s32[], f32[128]) {
  %p = (s32[], f32[128]{0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[128]{0} get-tuple-element(%p), index=1
  %start = (f32[1,128]{1,0}, f32[4,128]{1,0:T(4,128)S(1)}) all-gather-start(%x), dimensions={0}
  %done = f32[4,128]{1,0:T(4,128)S(1)} all-gather-done(%start)
  ROOT %t = (s32[], f32[128]{0}) tuple(%i, %x)
}

%go (p: (s32[], f32[128])) -> pred[] {
  %p = (s32[], f32[128]{0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %n = s32[] constant(16)
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (x: f32[128]) -> bf16[128] {
  %x = f32[128]{0} parameter(0)
  %zero = s32[] constant(0)
  %t = (s32[], f32[128]{0}) tuple(%zero, %x)
  %loop = (s32[], f32[128]{0}) while(%t), condition=%go, body=%step
  ROOT %sum = (f32[]{:T(128)}, bf16[128]{0:T(128)}) all-reduce(%zero, %x), to_apply=%add
}
"""


@pytest.mark.parametrize("platform", SLICES)
def test_slices_meet_their_requirements(platform: str) -> None:
    measured = pods.compiled([platform], quick=True)
    *ours, broken = measured
    assert pods.verdict(measured) == []
    assert {one.steps for one in ours} == {cases.ROWS // POD.rows_a_step}
    sizes = {(one.pod.kind, one.temporaries) for one in ours}
    assert len(sizes) == 1, "temporaries depend on the number of chips"
    logits = f"[{cases.ROWS},{cases.CLASSES * broken.pod.model}]"
    assert broken.pod.chunk == GATHERED
    assert f"the largest is all-gather f32{logits}" in "".join(failures(broken))


def test_a_collective_counts_as_often_as_its_loop_runs() -> None:
    program = Exchange(PROGRAM)
    gather, total = program.collectives()
    assert gather == Collective("all-gather", "f32[4,128]", 16)
    assert gather.bytes == 4 * 128 * 4 * 16
    assert total == Collective("all-reduce", "(f32[], bf16[128])")
    assert total.bytes == 4 + 2 * 128
    assert program.steps() == 16


def test_a_count_that_the_compiler_notes_is_used() -> None:
    noted = 'body=%step, backend_config={"known_trip_count":{"n":"5"}}'
    program = Exchange(PROGRAM.replace("body=%step", noted))
    assert [one.times for one in program.collectives()] == [5, 1]


def test_a_good_head_meets_every_requirement() -> None:
    assert list(failures(GOOD)) == []


@pytest.mark.parametrize(
    ("line", "also"),
    [
        (
            "the largest is all-gather f32[2048,131072]",
            Collective("all-gather", "f32[2048,131072]"),
        ),
        ("the largest is all-to-all f32[512,32768]", Collective("all-to-all", "f32[512,32768]")),
        (
            "the largest is all-reduce f32[128,32768]",
            Collective("all-reduce", "f32[128,32768]", 16),
        ),
        (
            "the largest is reduce-scatter f32[128,512]",
            Collective("reduce-scatter", "f32[128,512]", 16),
        ),
        ("for the features' gradient adds up 8.000 MiB, allowed 4.000", FEATURES_SUM),
        ("for the kernel's gradient adds up 128.000 MiB, allowed 64.000", KERNEL_SUM),
    ],
)
def test_a_collective_too_many_breaks_one_requirement(line: str, also: Collective) -> None:
    (message,) = failures(replace(GOOD, collectives=[*NEEDED, also]))
    assert line in message


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("temporaries take 200.000 MiB, allowed 104.000", {"temporaries": 200 * MIB}),
        ("does not compile: too large", {"error": "too large"}),
    ],
)
def test_every_other_requirement_can_fail(line: str, fault: dict[str, Any]) -> None:
    assert line in "".join(failures(replace(GOOD, **fault)))


def test_bounds_are_far_below_the_logits() -> None:
    for platform in SLICES:
        for pod in cases.pods(platform, quick=False):
            assert cases.temporaries(pod) < cases.logits_bytes() / 2
            assert cases.row_bytes(pod) < cases.logits_bytes() / 1000


@pytest.mark.parametrize(
    ("chunk", "at_4", "at_64", "fails"),
    [
        (PER_CHIP, 100, 105, False),
        (PER_CHIP, 100, 106, True),
        (PER_CHIP, 106, 100, True),
        (IN_ALL, 106, 100, False),
        (IN_ALL, 100, 106, True),
        (GATHERED, 100, 106, False),
    ],
)
def test_temporaries_may_not_grow_with_the_chips(
    chunk: str, at_4: int, at_64: int, fails: bool
) -> None:
    pod = Pod("v5e:2x2", "float32", chunk, 2, 2)
    small = Measurement(pod, at_4 * MIB)
    large = Measurement(replace(POD, chunk=chunk), at_64 * MIB)
    assert bool(list(growth([large, small]))) == fails
    small_of_others = replace(small, pod=replace(pod, slice="v6e:2x2"))
    assert not list(growth([large, small_of_others]))


@pytest.mark.parametrize("platform", SLICES)
def test_a_missing_compiler_names_the_extra(
    platform: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(devices.COMPILERS, platform, "no_such_package.compiler")
    assert pods.main(["--platform", platform]) == 2
    assert "pip install '.[aot]'" in capsys.readouterr().err


def test_the_page_has_every_program_and_every_bound() -> None:
    page = (ROOT / "docs" / "pods.md").read_text()
    (table,) = make_readme.tables(page).values()
    header, *rows = markdown.rows(table)
    assert header == list(pods_table.HEADER)
    programs = [pod for platform in SLICES for pod in cases.pods(platform, quick=False)]
    expected = pods_table.rows([Measurement(pod) for pod in programs])
    assert set(map(bounds, rows)) == set(map(bounds, expected))
    for row in rows:
        assert (row[-1] == "refused") == (GATHERED in row)
        assert row[-1] in ("refused", "met")


def bounds(row: Sequence[str]) -> tuple[str, ...]:
    """The cells of a row that name the program or are what it is allowed."""
    pairs = zip(pods_table.HEADER, row, strict=True)
    return (*row[:5], *(cell for name, cell in pairs if name == "allowed"))


@pytest.mark.parametrize("form", [[], ["--json"], ["--markdown"]], ids=" ".join)
@pytest.mark.parametrize(
    ("measured", "code"),
    [([GOOD], 0), ([GOOD, BAD], 1), ([REFUSED], 0)],
    ids=["good", "bad", "refused"],
)
def test_the_command_judges_ours_alone(
    form: list[str],
    measured: list[Measurement],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pods, "compiled", lambda platforms, quick: measured)
    assert pods.main(form) == code
    out, err = capsys.readouterr()
    assert "v5e:8x8" in out
    assert ("all-gather f32[2048,131072]" in err) == bool(code)
