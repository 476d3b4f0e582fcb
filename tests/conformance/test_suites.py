"""How `./mnbara conformance` judges: what each runner's output says, and which exit code follows."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance import __main__ as conformance
from tests.conformance import (
    go_suite,
    java_suite,
    javascript_makers_suite,
    javascript_suite,
    python_suite,
)
from tests.conformance.suite import NoSuiteError, Outcome, UnpublishedSuiteError, fetch

LOG = Path("some.log")


def counts(outcome):
    return outcome.ran, outcome.passed, list(outcome.failed), list(outcome.skipped), outcome.good


def test_unittest_is_read():
    text = (
        "ok\ntest_a (t.A) ... skipped 'why not'\n===\nFAIL: test_b (t.A)\n---\nERROR: test_c (t.A.test_c)\n"
    )
    text += "Ran 9 tests in 1s\n"
    failed = ["test_b (t.A)", "test_c (t.A.test_c)"]
    assert counts(python_suite.read(text, 1, LOG)) == (9, 6, failed, ["why not"], False)
    assert counts(python_suite.read("Ran 2 tests in 1s\n", 0, LOG)) == (2, 2, [], [], True)


def test_go_is_read():
    events = [
        ("run", "TestA"),
        ("pass", "TestA/json"),
        ("pass", "TestA"),
        ("skip", "TestB"),
        ("output", "TestB"),
    ]
    lines = ["# not JSON", *(json.dumps({"Action": action, "Test": name}) for action, name in events)]
    lines.append(json.dumps({"Action": "pass"}))
    assert counts(go_suite.read("\n".join(lines), 0, LOG)) == (3, 2, [], ["TestB: by the suite"], True)
    lines.append(json.dumps({"Action": "fail", "Test": "TestC"}))
    assert counts(go_suite.read("\n".join(lines), 1, LOG))[2:] == (["TestC"], ["TestB: by the suite"], False)


def test_junit_is_read():
    text = (
        "1) testA(a.b.CTest)\njava.lang.AssertionError\n2) testA(a.b.CTest)\n\nTests run: 5,  Failures: 2\n"
    )
    assert counts(java_suite.read(text, 1, LOG)) == (5, 4, ["testA(a.b.CTest)"], [], False)
    assert counts(java_suite.read("\nOK (33 tests)\n", 0, LOG)) == (33, 33, [], [], True)


SDK_FAULT = "testCloseTransitionsToClosedAndStaysThere(io.github.centrifugal.centrifuge.AdvancedTest)"


def test_what_the_java_sdk_itself_fails_and_what_needs_a_newer_one_are_skipped():
    text = (
        f"JUnit version 4.13.2\n.EE..java.util.concurrent.RejectedExecutionException: Task 1) x(y)\n\tat a.b(C.java:1)"
        f"\n.\nTime: 4.123\nThere were 2 failures:\n1) {SDK_FAULT}\njava.lang.AssertionError: expected:<CLOSED>\n"
        f"2) {SDK_FAULT}\njava.util.concurrent.RejectedExecutionException: Task\n\nFAILURES!!!\n"
        "Tests run: 4,  Failures: 2\n\n"
    )
    outcome = java_suite.read(text, 1, LOG, ["testNew(NewTest)"])
    assert counts(outcome)[:3] == (5, 3, [])
    assert outcome.good
    assert [reason.partition(": ")[::2] for reason in outcome.skipped] == [
        (SDK_FAULT, "SDK 0.4.1 fails it: close() leaves state DISCONNECTED, a second one throws"),
        ("testNew(NewTest)", "needs a newer SDK than 0.4.1"),
    ]
    other = java_suite.read(text.replace("\n\nFAILURES", "\n3) testB(a.BTest)\nx\n\nFAILURES"), 1, LOG)
    assert (other.failed, other.good) == (["testB(a.BTest)"], False)


NEW_TEST = """
public class NewTest extends Base {
    @Test(timeout = 15_000)
    public void testA() throws Exception { helper(); }

    @Test public void testB() {}

    public void helper() {}
}
"""


def test_java_files_that_do_not_compile_are_left_out_by_the_names_of_their_tests(tmp_path, monkeypatch):
    monkeypatch.setattr(java_suite, "fetch", refuse_newer)
    new, old, base = (tmp_path / f"{name}.java" for name in ("NewTest", "OldTest", "Base"))
    new.write_text(NEW_TEST)
    assert java_suite._compile([base, new, old], tmp_path, "") == ["testA(NewTest)", "testB(NewTest)"]
    assert java_suite._compile([base, old], tmp_path, "") == []
    with pytest.raises(NoSuiteError, match="cannot find symbol"):
        java_suite._compile([base, new], tmp_path, "")


def refuse_newer(words, _folder):
    assert any(word.endswith("Base.java") for word in words)
    if any(word.endswith("NewTest.java") for word in words):
        raise NoSuiteError("cannot find symbol")


def test_report_of_jest_is_read():
    cases = [("websocket: connects", "passed"), ("map: recovers", "pending"), ("no constructor", "pending")]
    report = {"testResults": [{"assertionResults": [{"fullName": n, "status": s} for n, s in cases]}]}
    outcome = javascript_makers_suite.read(json.dumps(report), 0, LOG)
    assert counts(outcome) == (2, 1, [], ["no constructor: by the suite"], True)
    report["testResults"][0]["assertionResults"][0]["status"] = "failed"
    outcome = javascript_makers_suite.read(json.dumps(report), 1, LOG)
    assert counts(outcome)[:3] == (2, 0, ["websocket: connects"])
    broken = {"testResults": [{"assertionResults": [], "message": "Test suite failed to run"}]}
    assert not javascript_makers_suite.read(json.dumps(broken), 1, LOG).good


def test_report_of_the_scripts_is_read():
    text = (
        '<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure message="m"/></testcase>'
        '<testcase name="c"><skipped message="no node"/></testcase></testsuite></testsuites>'
    )
    assert counts(javascript_suite.read(text, 1, LOG)) == (3, 1, ["b"], ["no node"], False)


@pytest.mark.parametrize("read", [python_suite.read, go_suite.read, java_suite.read])
def test_runner_that_broke_off_or_ran_nothing_proves_nothing(read):
    assert not read("", 0, LOG).good
    assert not read(
        "Ran 3 tests in 1s\nOK (3 tests)\n" + json.dumps({"Action": "pass", "Test": "T"}), 2, LOG
    ).good


def suite(*, lacking=None, failed=()):
    def prepare():
        if lacking is not None:
            raise lacking
        return LOG

    def play(_folder):
        return Outcome(2, failed, [], LOG)

    return conformance.Suite("one", "one 1.0", None, prepare, play, ["maps: none here"])


GOOD, BAD = {}, {"failed": ["test_x"]}
LACKING, UNPUBLISHED = {"lacking": NoSuiteError("no go here")}, {"lacking": UnpublishedSuiteError("nowhere")}


@pytest.mark.parametrize(
    ("played", "code"),
    [
        ([GOOD, GOOD], 0),
        ([GOOD, UNPUBLISHED], 0),
        ([LACKING, GOOD], 3),
        ([LACKING, BAD], 1),
        ([BAD, GOOD], 1),
    ],
)
def test_exit_code_is_that_of_the_worst_suite(played, code):
    assert conformance.play_all([suite(**facts) for facts in played]) == code


def test_counts_and_reasons_are_printed(capsys):
    conformance.play_all([suite(**BAD), suite(**LACKING)])
    assert capsys.readouterr().out.splitlines() == [
        "  failed: test_x",
        "  does not apply: maps: none here",
        "one 1.0: 2 run, 1 passed, 1 failed, 0 skipped; log: some.log",
        "one 1.0: not run: no go here",
    ]


def test_missing_toolchain_and_failed_download_are_one_line_each(tmp_path):
    with pytest.raises(NoSuiteError, match=r"^no-such-tool is not here$"):
        fetch(["no-such-tool"], tmp_path)
    with pytest.raises(NoSuiteError, match=r"could not fetch it: last$"):
        fetch([sys.executable, "-c", "print('first\\nlast\\n}'); raise SystemExit(1)"], tmp_path)


def test_other_archive_than_the_pinned_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(python_suite, "CACHE", tmp_path)
    archive = tmp_path / "centrifuge_python-0.7.0.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(NoSuiteError, match="pinned"):
        python_suite.prepare()
    assert not archive.exists()


@pytest.mark.parametrize(
    ("suite", "flag", "lacking"),
    [
        (java_suite, "--java", "integrationTest"),
        (javascript_makers_suite, "--js", r"src/centrifuge\.test\.ts"),
    ],
)
def test_unpublished_suite_needs_a_checkout_with_tests(tmp_path, suite, flag, lacking):
    with pytest.raises(UnpublishedSuiteError, match=flag):
        suite.prepare(None)
    with pytest.raises(NoSuiteError, match=lacking) as caught:
        suite.prepare(tmp_path)
    assert not isinstance(caught.value, UnpublishedSuiteError)


def test_unknown_suite_is_an_error_of_the_command_line():
    command = [sys.executable, "-m", "tests.conformance", "cobol"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=conformance.ROOT)
    assert (told.returncode, "no such suite: cobol" in told.stderr) == (2, True)


def test_taken_port_is_a_reason_not_to_run(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(conformance, "PORT", other.getsockname()[1])
        monkeypatch.setattr(conformance, "PORT_WAIT_S", 0)
        with pytest.raises(NoSuiteError, match="is taken"), conformance.serving([]):
            pass


def test_suite_that_outlived_its_server_proves_nothing(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr(conformance, "PORT", free.getsockname()[1])
    with pytest.raises(NoSuiteError, match="ended before"), conformance.serving([]) as server:
        end(server)


def end(server):
    server.terminate()
    server.wait(10)
