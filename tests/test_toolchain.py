"""The installed numerical stack computes right numbers and returns; the probes that say so can fail. Run these first."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import jaxlib
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from mtlsim import doctor, probes
from mtlsim.doctor import Finding, Grade

pytestmark = pytest.mark.runs_long  # the numbers of a stack are those of the passes that make programs fast
ROOT = Path(__file__).parents[1]
VERSIONS = (
    "0.7.2",
    "0.8.2",
    "0.8.3",
    "0.9.0",
    "0.9.2",
    "0.10.0",
    "0.10.2",
    "0.11.0",
    "0.11.1",
    "0.11.2",
    "0.12.0.1",
    "0.90.0",
    "1.0.0",
)


@pytest.mark.timeout(120)
def test_fused_products_agree_with_numpy():
    assert probes.wrong_cases(probes.cases()) == {}
    assert doctor.check_numbers(compute=_in_numpy).grade == Grade.ok


@pytest.mark.timeout(240)
def test_batched_lapack_calls_return():
    finding = doctor.check_hang()
    assert finding.grade == Grade.ok, finding


@pytest.mark.parametrize("error", [0.01, np.nan])
def test_canary_sees_one_wrong_row(error):
    def off_in_the_last_row(case):
        result = _in_numpy(case)
        return np.append(result[:-1], result[-1] + error)

    planted = probes.Case("maximum", "float32", 3, 32_769)
    assert probes.wrong_rows(planted, _in_numpy) == 0
    assert probes.wrong_rows(planted, off_in_the_last_row) == 1
    finding = doctor.check_numbers(compute=lambda case: off_in_the_last_row(case) if case == planted else _in_numpy(case))
    assert finding.grade == Grade.bad
    assert "1 of 72 fused products are wrong" in finding.found and "1 of 32769 rows of the maximum" in finding.found


def test_no_release_but_the_known_ones_loses_nan():
    lost = probes.lost_nan()
    assert doctor.check_nan() == doctor.check_nan(lost)
    every = {"max": 2000, "min": 2000, "sum of maximum": 2000}
    assert lost == {} or (lost == every and Version(jaxlib.__version__) >= Version("0.11"))


def test_a_prepared_process_keeps_nan_and_one_blas_thread_though_numpy_came_first():
    code = "import numpy; from mtlsim.launcher import prepare; prepare(); from mtlsim.probes import lost_nan; print(lost_nan())"
    code += "; from mtlsim import doctor; print(set(doctor._running_threads().values()))"
    environment = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "OPENBLAS_NUM_THREADS")}
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["{}", "{1}"]


def test_a_program_that_is_being_written_is_compiled_again_without_a_word(tmp_path):
    """Two threads or processes at one file of the cache."""
    lines = (
        "from mtlsim.launcher import prepare",
        "prepare()",
        "import jax, os, pathlib",
        "run = lambda: print(jax.jit(lambda x: 3 * x)(2))",
        "run()",
        "files = list(pathlib.Path(os.environ['JAX_COMPILATION_CACHE_DIR']).glob('*cache'))",
        "[file.write_bytes(file.read_bytes()[:-9]) for file in files]",
        "jax.clear_caches()",
        "run()",
        "print(len(files))",
    )
    code = "; ".join(lines)
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    first, second, n_files = run.stdout.split()
    assert first == second == "6" and int(n_files) > 0 and run.stderr == ""


def test_canary_crosses_the_rows_where_the_fault_sits():
    seen = {(case.dtype, case.n_rows) for case in probes.cases()}
    assert {("float64", 16_385), ("float32", 32_769), ("float64", 32_769)} <= seen
    assert set(probes.cases()) < set(probes.cases(full=True))


@pytest.mark.parametrize(
    ("call", "limit", "says"),
    [
        ("lambda: time.sleep(60)", 30.0, "did not return within 1 s"),
        (
            "lambda: ctypes.PyDLL(None).sleep(60)",
            30.0,
            "did not return within 1 s",
        ),  # in C, never giving the interpreter its lock back
        ("time.sleep(60)", 2.0, "had not all returned after 2 s"),  # before the watchdog of the single calls is set
        ("sys.exit(5)", 30.0, "exit code 5"),
    ],
)
@pytest.mark.timeout(60)
def test_hang_probe_sees_a_planted_hang(call, limit, says):
    program = f"import ctypes, sys, time\nfrom mtlsim import probes\nprobes.call_many_times({call}, 3, 1.0)"
    finding = doctor.check_hang(calls=3, patience=1.0, limit=limit, program=program)
    assert finding.grade == Grade.bad and says in finding.found


@pytest.mark.timeout(60)
def test_slow_calls_are_no_hang():
    program = "import time\nfrom mtlsim import probes\nprobes.call_many_times(lambda: time.sleep(0.6), 4, 2.0)"
    assert doctor.check_hang(calls=4, patience=2.0, limit=30.0, program=program).grade == Grade.ok


@pytest.mark.parametrize("package", ["jax", "jaxlib"])
def test_doctor_refuses_what_the_requirement_refuses(package):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = {Requirement(text).name: Requirement(text).specifier for text in project["dependencies"]}[package]
    for version in VERSIONS:
        assert (doctor.check_release(package, version).grade == Grade.ok) == (version in required), version
    assert doctor.check_release(package).grade == Grade.ok
    assert f"pip install 'jax{_in_order(project, 'jax')}'" == doctor.INSTALL


@pytest.mark.parametrize(
    ("finding", "grade"),
    [
        (lambda folder: doctor.check_python((3, 10, 4)), Grade.bad),
        (lambda folder: doctor.check_python(), Grade.ok),
        (lambda folder: doctor.check_numpy("1.26.4"), Grade.bad),
        (lambda folder: doctor.check_numpy(), Grade.ok),
        (lambda folder: doctor.check_threads({"a": 1, "b": 2}, {}), Grade.warn),
        (lambda folder: doctor.check_threads({"a": 2}, {"OPENBLAS_NUM_THREADS": "1"}), Grade.warn),
        (lambda folder: doctor.check_threads({"a": 1, "b": 1}, {}), Grade.ok),
        (lambda folder: doctor.check_threads({}, {}), Grade.warn),
        (lambda folder: doctor.check_threads({}, {"OPENBLAS_NUM_THREADS": "1"}), Grade.ok),
        (lambda folder: doctor.check_float64(False), Grade.warn),
        (lambda folder: doctor.check_float64(True), Grade.ok),
        (lambda folder: doctor.check_devices(), Grade.ok),
        (lambda folder: doctor.check_nan({}), Grade.ok),
        (lambda folder: doctor.check_nan({"max": 2000}), Grade.warn),
        (lambda folder: doctor.check_host_devices(1, 2), Grade.warn),
        (lambda folder: doctor.check_host_devices(2, 2), Grade.ok),
        (lambda folder: doctor.check_cache(""), Grade.warn),
        (lambda folder: doctor.check_cache(str(folder / "new" / "deeper")), Grade.ok),
        (lambda folder: doctor.check_cache(str(folder / "file" / "below")), Grade.warn),
        (lambda folder: doctor.check_cache("gs://bucket/folder"), Grade.ok),
    ],
)
def test_single_findings(finding, grade, tmp_path):
    (tmp_path / "file").touch()
    found = finding(tmp_path)
    assert found.grade == grade
    assert found.found.endswith(".") and found.cure.endswith(".")


def test_exit_code_and_what_is_printed(monkeypatch, capsys):
    good, odd, bad = (
        Finding("one", Grade.ok, "Fine."),
        Finding("two", Grade.warn, "Slow.", "Hurry."),
        Finding("three", Grade.bad, "Broken.", "Mend."),
    )
    for findings, code in (([good], 0), ([good, odd], 0), ([bad, odd], 1)):
        monkeypatch.setattr(doctor, "examine", lambda full, findings=findings: iter(findings))
        assert doctor.main() == code
        printed = capsys.readouterr().out
        assert all(finding.found in printed for finding in findings)
        assert ("Mend." in printed) == (bad in findings) and "Nothing to do." not in printed


def test_check_that_cannot_run_is_a_bad_finding(monkeypatch):
    def broken():
        raise ImportError("no module named 'jaxlib'")

    for name in ("check_numbers", "check_hang"):
        monkeypatch.setattr(doctor, name, lambda *arguments: Finding("left out", Grade.ok, "Not run."))
    monkeypatch.setattr(doctor, "check_devices", broken)
    findings = {finding.name: finding for finding in doctor.examine()}
    assert findings["devices"].grade == Grade.bad and "ImportError" in findings["devices"].found
    assert findings["jax"].grade == Grade.ok


@pytest.mark.timeout(60)
def test_doctor_stands_alone():
    code = "import sys, mtlsim.doctor; sys.exit(bool({'jax', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
    shown = subprocess.run([sys.executable, "-m", "mtlsim.doctor", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--full" in shown.stdout


def _in_numpy(case: probes.Case) -> np.ndarray:
    matrix, rows = case.draw()
    return probes.REDUCTIONS[case.reduction][1](rows @ matrix.T)


def _in_order(project: dict, package: str) -> str:
    """The requirement's specifier as it is written (parsing it would sort it)."""
    return next(text.removeprefix(package) for text in project["dependencies"] if Requirement(text).name == package)
