"""The head compiled for many chips that are not there: what each of them stores, and what they send
each other.

One process per platform, each of which compiles two or three programs: see
`benchmarks/pods/command.py`.
"""

from dataclasses import replace

import pytest

from benchmarks.aot import devices
from benchmarks.pods import cases
from benchmarks.pods import command as pods
from benchmarks.pods import table as pods_table
from benchmarks.pods.cases import GATHERED, IN_ALL, MIB, PER_CHIP, SLICES, Pod
from benchmarks.pods.collectives import Collective, Exchange
from benchmarks.pods.verdict import Measurement, failures, growth
from parity_tests.pages import make_readme
from parity_tests.tests import ROOT

POD = Pod("v5e:8x8", "float32", PER_CHIP, 16, 4)
# What such a head cannot do without: numbers of its rows from all that share them, and the sums of
# the gradients.
NEEDED = [
    Collective("all-gather", "f32[4,1,128]", 32),
    Collective("all-reduce", "f32[1,128,512]", 16),
    Collective("all-reduce", "(f32[], f32[512,32768])"),
]
GOOD = Measurement(POD, MIB, 16, NEEDED)

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
  ROOT %sum = (f32[]{:T(128)}, bf16[128]{0:T(128)}) all-reduce(%zero, %x), replica_groups={{0,1}}, to_apply=%add
}
"""


@pytest.mark.parametrize("platform", SLICES)
def test_slices_meet_their_requirements(platform: str) -> None:
    found = pods.compiled([platform], quick=True)
    *ours, broken = found
    assert pods.verdict(found) == []
    assert {one.steps for one in ours} == {cases.ROWS // POD.rows_a_step}
    assert len({(one.pod.kind, one.temporaries) for one in ours}) == 1, (
        "temporaries depend on the number of chips"
    )
    logits = f"[{cases.ROWS},{cases.CLASSES * broken.pod.model}]"
    assert broken.pod.chunk == GATHERED
    assert f"the largest is all-gather f32{logits}" in "".join(failures(broken))


def test_a_collective_counts_as_often_as_its_loop_runs() -> None:
    program = Exchange(PROGRAM)
    found = list(program.collectives())
    assert found == [
        Collective("all-gather", "f32[4,128]", 16),
        Collective("all-reduce", "(f32[], bf16[128])"),
    ]
    assert [one.bytes for one in found] == [4 * 128 * 4 * 16, 4 + 2 * 128]
    assert program.steps() == 16
    noted = PROGRAM.replace(
        "body=%step", 'body=%step, backend_config={"known_trip_count":{"n":"5"}}'
    )
    assert [one.times for one in Exchange(noted).collectives()] == [5, 1]


def test_every_requirement_can_fail() -> None:
    assert list(failures(GOOD)) == []
    wrong = {
        "the largest is all-gather f32[2048,131072]": [
            Collective("all-gather", "f32[2048,131072]")
        ],
        "the largest is all-to-all f32[512,32768]": [Collective("all-to-all", "f32[512,32768]")],
        "the largest is all-reduce f32[128,32768]": [
            Collective("all-reduce", "f32[128,32768]", 16)
        ],
        "the largest is reduce-scatter f32[128,512]": [
            Collective("reduce-scatter", "f32[128,512]", 16)
        ],
        "for the features' gradient adds up 8.000 MiB, allowed 4.000": [NEEDED[1]],
        "for the kernel's gradient adds up 128.000 MiB, allowed 64.000": [NEEDED[2]],
    }
    for line, more in wrong.items():
        (said,) = failures(replace(GOOD, collectives=[*NEEDED, *more]))
        assert line in said
    assert "temporaries take 200.000 MiB, allowed 104.000" in "".join(
        failures(replace(GOOD, temporaries=200 * MIB))
    )
    assert "does not compile: too large" in "".join(failures(replace(GOOD, error="too large")))


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
    small = Pod("v5e:2x2", "float32", chunk, 2, 2)
    found = [Measurement(replace(POD, chunk=chunk), at_64 * MIB), Measurement(small, at_4 * MIB)]
    assert bool(list(growth(found))) == fails
    assert not list(growth([found[0], replace(found[1], pod=replace(small, slice="v6e:2x2"))]))


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
    found = {line for line in table.splitlines() if line.startswith("| ") and "---" not in line}
    cells = {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in found}
    wanted = [Measurement(pod) for platform in SLICES for pod in cases.pods(platform, quick=False)]
    bounds = [0, 1, 2, 3, 4, *(i for i, name in enumerate(pods_table.HEADER) if name == "allowed")]
    assert {tuple(row[i] for i in bounds) for row in cells} == {
        tuple(row[i] for i in bounds) for row in (pods_table.HEADER, *pods_table.rows(wanted))
    }
    assert all(
        row[-1] == ("refused" if GATHERED in row else "met")
        for row in cells
        if row[-1] != "verdict"
    )


@pytest.mark.parametrize("form", [(), ("--json",), ("--markdown",)])
def test_the_command_judges_ours_alone(
    form: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = replace(GOOD, collectives=[*NEEDED, Collective("all-gather", "f32[2048,131072]")])
    for found, code in (
        ([GOOD], 0),
        ([GOOD, bad], 1),
        ([replace(bad, pod=replace(POD, chunk=GATHERED))], 0),
    ):
        monkeypatch.setattr(pods, "compiled", lambda platforms, quick, found=found: found)
        assert pods.main([*form]) == code
        out, err = capsys.readouterr()
        assert "v5e:8x8" in out
        assert ("all-gather f32[2048,131072]" in err) == bool(code)
