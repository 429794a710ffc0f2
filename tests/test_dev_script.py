"""`./dev`, run in a copy of its own with stand-ins for apt-get, gcc, python3 and the others.

Nothing is installed: PATH holds the stand-ins alone, which write down how they were called.
"""

import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "dev"
REAL_COMMANDS = [
    "bash",
    "cat",
    "cksum",
    "cp",
    "cut",
    "dirname",
    "env",
    "flock",
    "mkdir",
    "rm",
    "sleep",
    "tr",
]
TOOLS = ["avr-as", "z80-unknown-coff-as", "gcc"]
SECOND = "tests/second_opinion"
PACKAGE = f"{SECOND}/package.json"

RECORD = '#!/bin/sh\necho "${0##*/} $*" >> "$CALLS"\n'
APT_INSTALLS = RECORD + (
    'echo "frontend ${DEBIAN_FRONTEND-}" >> "$CALLS"\n'
    'for tool in avr-as z80-unknown-coff-as gcc; do cp "$STAND_INS/tool" "$STAND_INS/$tool"; done\n'
    '[ -e "$STAND_INS/node" ] || cp "$STAND_INS/tool" "$STAND_INS/node"\n'
)
# A python3 that can make an environment holding itself, and "builds" the extension in it.
PYTHON = (
    RECORD
    + """
case "$*" in
  -V) echo Python 3.11.2 ;;
  *version_info*) exit "${PYTHON_TOO_OLD:-0}" ;;
  '-m venv --clear '*) rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
  '-m pip '*) echo 'output of pip'; [ -z "$PIP_FAILS" ] || exit 1; : > emulators/_simavr.so ;;
  "-m ${FAILING_PART:-none}"*) exit 1 ;;
esac
"""
)


NPM = (
    RECORD
    + f"""
echo 'output of npm'; [ -z "$NPM_FAILS" ] || exit 1; mkdir -p {SECOND}/node_modules
"""
)


class Checkout:
    """A copy of the script beside sources of a sort, and the commands that it sees."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a check out"
        self.stand_ins = folder / "bin"
        self.record = folder / "calls"
        self.stand_ins.mkdir()
        (self.root / "emulators").mkdir(parents=True)
        (self.root / SECOND).mkdir(parents=True)
        shutil.copy(SCRIPT, self.root / "dev")
        for name in (
            "pyproject.toml",
            "setup.py",
            "emulators/run.c",
            "emulators/x_build.py",
            PACKAGE,
        ):
            (self.root / name).write_text("1\n")
        for name in REAL_COMMANDS:
            real = shutil.which(name)
            assert real is not None
            (self.stand_ins / name).symlink_to(real)
        for name in [*TOOLS, "tool", "git", "node"]:
            self.put(name, "#!/bin/sh\n")
        self.put("python3", PYTHON)
        self.put("npm", NPM)
        self.put("id", "#!/bin/sh\necho 0\n")

    @property
    def stamp(self) -> Path:
        """What a finished set-up leaves."""
        return self.root / ".venv" / "set-up"

    def put(self, name: str, text: str) -> None:
        """Add a stand-in, or change it."""
        path = self.stand_ins / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def remove(self, *names: str) -> None:
        """Take commands away."""
        for name in names:
            (self.stand_ins / name).unlink()

    def start(self, *args: str, **environment: str) -> subprocess.Popen[str]:
        """Start the script in a process group of its own, with the stand-ins alone in PATH."""
        self.record.write_text("")
        return subprocess.Popen(
            ["/usr/bin/env", "--default-signal=INT", self.root / "dev", *args],
            env={
                "PATH": str(self.stand_ins),
                "CALLS": str(self.record),
                "STAND_INS": str(self.stand_ins),
                **environment,
            },
            cwd=os.sep,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script to its end."""
        with self.start(*args, **environment) as process:
            try:
                stdout, stderr = process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(args, process.returncode, stdout, stderr)

    def calls(self, start: str) -> list[str]:
        """Return the recorded calls that begin with start."""
        return [line for line in self.record.read_text().splitlines() if line.startswith(start)]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize("args", [(), ("help",), ("--help",)])
def test_help(checkout: Checkout, args: tuple[str, ...]) -> None:
    result = checkout.run(*args)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: ./dev COMMAND")


def test_unknown_command_is_one_line_and_exit_2(checkout: Checkout) -> None:
    result = checkout.run("tset")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "dev: unknown command 'tset'; see ./dev help\n"


def test_without_apt_get_names_what_to_install(checkout: Checkout) -> None:
    checkout.remove(*TOOLS)
    result = checkout.run("setup")
    assert result.returncode == 1
    assert "no apt-get here" in result.stderr
    for expected in ("binutils-avr (command avr-as)", "libsimavr-dev (header simavr/sim_avr.h)"):
        assert expected in result.stderr.splitlines()
    assert not (checkout.root / ".venv").exists()


def test_neither_root_nor_sudo_gives_the_command_to_run(checkout: Checkout) -> None:
    checkout.put("id", "#!/bin/sh\necho 1000\n")
    checkout.put("apt-get", RECORD)
    checkout.remove("z80-unknown-coff-as")
    result = checkout.run("bench")
    assert result.returncode == 1
    command = "apt-get update && apt-get install -y --no-install-recommends binutils-z80\n"
    assert result.stderr.endswith(command)
    assert not checkout.calls("apt-get")


def test_sudo_is_used_by_those_who_are_not_root(checkout: Checkout) -> None:
    checkout.put("id", "#!/bin/sh\necho 1000\n")
    checkout.put("sudo", RECORD + '"$@"\n')
    checkout.put("apt-get", APT_INSTALLS)
    checkout.remove("avr-as")
    assert checkout.run("setup").returncode == 0
    assert checkout.calls("sudo")


def test_missing_packages_are_installed_by_apt_get(checkout: Checkout) -> None:
    checkout.put("apt-get", APT_INSTALLS)
    checkout.remove("avr-as")
    result = checkout.run("setup")
    assert result.returncode == 0, result.stderr
    assert checkout.calls("apt-get") == ["apt-get install -y --no-install-recommends binutils-avr"]
    assert checkout.calls("frontend") == ["frontend noninteractive"]


def test_package_lists_are_fetched_when_the_install_fails(checkout: Checkout) -> None:
    checkout.put("apt-get", RECORD + "echo 'output of apt-get'; exit 100\n")
    checkout.remove("avr-as")
    result = checkout.run("setup")
    assert result.returncode == 1
    assert [call.split()[1] for call in checkout.calls("apt-get")] == ["install", "update"]
    assert result.stderr.count("output of apt-get") == 1
    assert "apt-get failed" in result.stderr


def test_an_install_that_brings_nothing_is_told(checkout: Checkout) -> None:
    checkout.put("apt-get", RECORD)
    checkout.remove("avr-as")
    result = checkout.run("setup")
    assert result.returncode == 1
    assert "still not found:\nbinutils-avr (command avr-as)" in result.stderr


def test_old_python_is_refused(checkout: Checkout) -> None:
    result = checkout.run("setup", PYTHON_TOO_OLD="1")
    assert result.returncode == 1
    assert "Python 3.11 or newer is needed" in result.stderr
    assert not (checkout.root / ".venv").exists()


def test_second_set_up_does_nothing(checkout: Checkout) -> None:
    assert checkout.run("setup").returncode == 0
    assert checkout.calls("python -m pip install")
    again = checkout.run("setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert checkout.record.read_text() == "python -V\n"


def test_removed_system_package_is_noticed(checkout: Checkout) -> None:
    checkout.run("setup")
    checkout.remove("avr-as")
    result = checkout.run("setup")
    assert result.returncode == 1
    assert "no apt-get here" in result.stderr


@pytest.mark.parametrize(
    "source", ["pyproject.toml", "setup.py", "emulators/run.c", "emulators/x_build.py"]
)
def test_changed_source_is_built_anew(checkout: Checkout, source: str) -> None:
    checkout.run("setup")
    (checkout.root / source).write_text("2\n")
    assert checkout.run("setup").returncode == 0
    assert checkout.calls("python -m pip install")
    assert not checkout.calls("python3 -m venv")


def test_missing_extension_is_built_anew(checkout: Checkout) -> None:
    checkout.run("setup")
    (checkout.root / "emulators" / "_simavr.so").unlink()
    checkout.run("setup")
    assert checkout.calls("python -m pip install")


def test_failed_set_up_is_told_and_tried_again(checkout: Checkout) -> None:
    failed = checkout.run("test", PIP_FAILS="1")
    assert failed.returncode == 1
    assert "output of pip" in failed.stderr
    assert not checkout.stamp.exists()
    assert not checkout.calls("python -m pytest")

    result = checkout.run("setup")
    assert result.returncode == 0
    assert "output of pip" not in result.stderr
    assert not checkout.calls("python3 -m venv")


def test_failure_after_a_change_takes_the_stamp_away(checkout: Checkout) -> None:
    checkout.run("setup")
    (checkout.root / "setup.py").write_text("2\n")
    assert checkout.run("setup", PIP_FAILS="1").returncode == 1
    assert not checkout.stamp.exists()


def test_environment_left_by_a_killed_pip_is_made_anew(checkout: Checkout) -> None:
    checkout.run("setup")
    (checkout.root / "setup.py").write_text("2\n")
    killed = PYTHON.replace("echo 'output of pip'", "kill -9 $$")
    (checkout.root / ".venv" / "bin" / "python").write_text(killed)
    assert checkout.run("setup").returncode == 1
    assert not checkout.stamp.exists()
    assert checkout.run("setup").returncode == 0
    assert checkout.calls("python3 -m venv")


def test_interrupted_set_up_starts_again(checkout: Checkout) -> None:
    # pip takes Ctrl-C for itself and ends like any failure.
    waiting = "trap 'exit 1' INT; echo waiting >> \"$CALLS\"; while :; do sleep 0.01; done"
    checkout.put("python3", PYTHON.replace("echo 'output of pip'", waiting))
    with checkout.start("setup") as process:
        deadline = time.monotonic() + 20
        while not checkout.calls("waiting") and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert not checkout.stamp.exists()
    checkout.put("python3", PYTHON)
    assert checkout.run("setup").returncode == 0
    assert checkout.calls("python3 -m venv")


def test_moved_checkout_gets_an_environment_of_its_own(checkout: Checkout) -> None:
    checkout.run("setup")
    checkout.root = checkout.root.rename(checkout.root.parent / "elsewhere")
    assert checkout.run("setup").returncode == 0
    assert checkout.calls("python3 -m venv")


def test_broken_environment_is_made_anew(checkout: Checkout) -> None:
    checkout.run("setup")
    (checkout.root / ".venv" / "bin" / "python").unlink()
    assert checkout.run("setup").returncode == 0
    assert checkout.calls("python3 -m venv")


def test_only_tests_need_git_and_the_second_emulators(checkout: Checkout) -> None:
    checkout.remove("git", "node", "npm")
    assert checkout.run("bench").returncode == 0
    result = checkout.run("test")
    assert result.returncode == 1
    for expected in ("git (command git)", "nodejs (command node)", "npm (command npm)"):
        assert expected in result.stderr.splitlines()
    assert not checkout.calls("python -m pytest")


def test_second_emulators_are_installed_once(checkout: Checkout) -> None:
    checkout.put("apt-get", APT_INSTALLS)
    checkout.remove("node")
    assert checkout.run("test").returncode == 0
    assert checkout.calls("apt-get") == ["apt-get install -y --no-install-recommends nodejs"]
    assert checkout.calls("npm") == [
        f"npm install --prefix {SECOND} --no-package-lock --no-audit --no-fund"
    ]
    assert checkout.run("test").returncode == 0
    assert not checkout.calls("npm")


def test_changed_package_json_is_installed_anew(checkout: Checkout) -> None:
    checkout.run("test")
    (checkout.root / PACKAGE).write_text("2\n")
    assert checkout.run("test", NPM_FAILS="1").returncode == 1
    result = checkout.run("test")
    assert result.returncode == 0
    assert checkout.calls("npm")
    assert "output of npm" not in result.stderr


def test_failed_npm_is_told(checkout: Checkout) -> None:
    result = checkout.run("test", NPM_FAILS="1")
    assert result.returncode == 1
    assert "output of npm\ndev: npm failed\n" in result.stderr
    assert not checkout.calls("python -m pytest")


@pytest.mark.parametrize("failing", ["", "ruff check", "ruff format", "mypy", "pytest"])
def test_every_part_of_the_tests_runs(checkout: Checkout, failing: str) -> None:
    checkout.run("setup")
    result = checkout.run("test", "-k", "some thing", FAILING_PART=failing)
    parts = [call.removeprefix("python -m ") for call in checkout.calls("python -m")]
    assert parts[:3] == ["ruff check", "ruff format --check", "mypy"]
    assert parts[3].startswith("pytest -n ")
    assert parts[3].endswith(" -k some thing")
    assert result.returncode == (1 if failing else 0)
    assert f"failed: [{failing}" in result.stderr or not failing


def test_bench_passes_arguments_and_status(checkout: Checkout) -> None:
    checkout.run("setup")
    assert checkout.run("bench", "-x").returncode == 0
    assert checkout.calls("python -m") == ["python -m pytest benchmarks/ -x"]
    assert checkout.run("bench", "-x", "benchmarks/test_a.py").returncode == 0
    assert checkout.calls("python -m") == ["python -m pytest -x benchmarks/test_a.py"]
    assert checkout.run("bench", FAILING_PART="pytest").returncode == 1


def test_bench_installs_a_c_compiler_only_where_asked(checkout: Checkout) -> None:
    checkout.run("setup")
    checkout.put("apt-get", RECORD + 'cp "$STAND_INS/tool" "$STAND_INS/avr-gcc"\n')
    assert checkout.run("bench", "-x").returncode == 0
    assert not checkout.calls("apt-get")
    assert checkout.run("bench", "--with-gcc-avr", "-x").returncode == 0
    packages = "gcc-avr avr-libc"
    assert checkout.calls("apt-get") == [f"apt-get install -y --no-install-recommends {packages}"]
    assert checkout.calls("python -m") == ["python -m pytest benchmarks/ -x"]
    assert checkout.run("bench", "--with-gcc-avr").returncode == 0
    assert not checkout.calls("apt-get")
