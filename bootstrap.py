"""Make .venv from the hashed lock files, then run a task in it.

    python3 bootstrap.py demo [ARGS...]     label a sample with the service in this process, no key
    python3 bootstrap.py test [ARGS...]     run pytest; ARGS go to pytest
    python3 bootstrap.py check [STEPS...]   steps: lint types docs wheel tests; default: all

Needs Python 3.11 or newer and pip, nothing else. `uv` is used when it is on PATH. The task runs
with the Python of .venv, in the folder of this file, and its exit code is the exit code here.

Theory of operation: .venv counts as complete only while its stamp file holds the hash of the lock
file that the task needs. The stamp goes away before anything is installed and comes back after
everything is, so a call that was killed leaves a .venv without stamp, and the next call makes it
anew. With a fitting stamp nothing is installed and no network is used.

The syntax of this file stays within Python 3.6, so that an older Python gets a sentence, not a
traceback.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def version_problem(version: "tuple[int, ...]") -> str:
    """Return one sentence about a Python that is too old, or an empty string."""
    if version >= (3, 11):
        return ""
    found = ".".join(str(part) for part in version)
    return f"bootstrap.py needs Python 3.11 or newer; this is {found}. Call it with a newer one."


if version_problem(sys.version_info[:3]):
    sys.exit(version_problem(sys.version_info[:3]))

import shutil  # noqa: E402 - the version is checked before anything else happens
import tempfile  # noqa: E402
import venv  # noqa: E402
from collections.abc import Callable, Iterator, Mapping, Sequence  # noqa: E402

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "semfn-stamp.json"
CORE_LOCK, DEV_LOCK = "requirements.lock", "requirements-dev.lock"


def say(text: str) -> None:
    """Print one line to stderr, in order with what child processes print."""
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def python_of(folder: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


# Installation


def lock_hash(name: str) -> str:
    """Return the sha256 of a lock file, in hex."""
    return hashlib.sha256((ROOT / name).read_bytes()).hexdigest()


def read_stamp() -> dict[str, str]:
    """Return what .venv holds, by lock name; empty if half made or made by another Python."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    fits = isinstance(stamp, dict) and stamp.get("python") == sys.implementation.cache_tag
    return stamp if fits and python_of(VENV).exists() else {}


def holds(lock: str) -> bool:
    """Return whether .venv holds everything that the lock file lists now."""
    return read_stamp().get(lock) == lock_hash(lock)


def write_stamp(locks: Sequence[str]) -> None:
    """Record that .venv is complete for these locks."""
    stamp = {"python": sys.implementation.cache_tag, **{lock: lock_hash(lock) for lock in locks}}
    fresh = STAMP.with_suffix(".new")
    fresh.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    os.replace(str(fresh), str(STAMP))


@contextlib.contextmanager
def only_one_process() -> Iterator[tuple[int, ...]]:
    """Hold a lock on this file; yield the descriptors that installers must inherit.

    An installer that outlives a killed bootstrap.py keeps the lock by its inherited descriptor, so
    the next call does not rebuild .venv under it.
    """
    with open(__file__, "rb") as handle:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(1 << 30)  # far behind the end: the file stays readable for others
            for _ in range(60):
                with contextlib.suppress(OSError):  # LK_LOCK gives up after ten seconds
                    msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
                    break
            yield ()
        else:
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another call is making .venv; waiting for it.")
                fcntl.flock(handle, fcntl.LOCK_EX)
            except OSError:  # a file system without locks: two calls at once are on their own
                pass
            yield (handle.fileno(),)


def is_quietly_done(command: Sequence[str]) -> bool:
    """Run a command without output and return whether it succeeded."""
    return subprocess.run(command, capture_output=True).returncode == 0


def pip_command(python: Path) -> list[str]:
    """Return the start of a pip command that works on the environment of `python`.

    The environments are made without pip, which takes seconds and is rarely needed. Here .venv
    gets it; where ensurepip is not installed (Debian), the pip of the calling Python serves.
    """
    pip_python = python_of(VENV)
    if not is_quietly_done([str(pip_python), "-m", "pip", "--version"]):
        ensure = [str(pip_python), "-m", "ensurepip", "--default-pip"]
        pip_python = pip_python if is_quietly_done(ensure) else Path(sys.executable)
    return [str(pip_python), "-m", "pip", "--disable-pip-version-check", "--python", str(python)]


def install(python: Path, arguments: Sequence[str], keep: tuple[int, ...] = ()) -> bool:
    """Install with uv if it is there and works, else with pip; return whether it succeeded."""
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", str(python), *arguments]
        if subprocess.call(command, pass_fds=keep) == 0:
            return True
        say("uv did not succeed (see above); trying pip.")
    command = [*pip_command(python), "install", "-qq", "--no-input", "--no-user", *arguments]
    return subprocess.call(command, pass_fds=keep) == 0


def make_venv(folder: Path) -> None:
    """Make an empty virtual environment, in place of whatever the folder holds."""
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt").create(folder)


def prepare(lock: str) -> None:
    """Bring .venv to the state that the lock file describes; return at once if it is there."""
    if holds(lock):
        return
    with only_one_process() as keep:
        if holds(lock):  # the call that we waited for did the work
            return
        is_top_up = lock == DEV_LOCK and holds(CORE_LOCK)
        started = time.monotonic()
        tool = "uv" if shutil.which("uv") else "pip"
        say(f"{'Adding to' if is_top_up else 'Making'} .venv from {lock} with {tool} ...")
        STAMP.unlink(missing_ok=True)
        if not is_top_up:
            make_venv(VENV)
        if not install(python_of(VENV), ["--require-hashes", "-r", str(ROOT / lock)], keep):
            sys.exit(
                f"Installing {lock} failed (see above). "
                f"Check the network and pip's index settings, then call again."
            )
        write_stamp([CORE_LOCK, DEV_LOCK] if lock == DEV_LOCK else [lock])
        say(f".venv is ready ({time.monotonic() - started:.0f} s).")


# Tasks


def task_environment() -> dict[str, str]:
    """Return the variables for a task: this folder comes first on the module path."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def hand_over(arguments: Sequence[str]) -> int:
    """Run the Python of .venv with these arguments as the last act of this process."""
    command = [str(python_of(VENV)), *arguments]
    if os.name != "nt":
        sys.stderr.flush()
        os.execve(command[0], command, task_environment())
    with subprocess.Popen(command, env=task_environment()) as child:
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the child hears Ctrl-C, too, and decides
                return child.wait()


def all_succeed(
    commands: Sequence[Sequence[str]], environment: Mapping[str, str] = os.environ
) -> bool:
    """Run each command with the Python of .venv, all of them, and say whether none failed."""
    python = str(python_of(VENV))
    codes = [subprocess.call([python, *one], env=environment) for one in commands]
    return not any(codes)


def check_lint() -> bool:
    """Run ruff over the whole repository, rules and format, and bandit over what is shipped."""
    security = ["-m", "bandit", "-q", "-c", "pyproject.toml", "-r", "analysis", "bootstrap.py"]
    return all_succeed(
        [["-m", "ruff", "check", "."], ["-m", "ruff", "format", "--check", "."], security]
    )


def check_types() -> bool:
    """Run mypy in strict mode over package, tests, benchmarks and this file."""
    folders = [
        name for name in ("analysis", "tests", "benchmarks") if any(ROOT.glob(name + "/**/*.py"))
    ]
    options = ["--strict", "--explicit-package-bases"]
    return all_succeed([["-m", "mypy", *options, *folders, "bootstrap.py"]])


def check_docs() -> bool:
    """Follow the links of all Markdown files and run the code of the docs."""
    places = ["tests/tidy/test_links.py", "tests/docs"]
    found = [place for place in places if (ROOT / place).exists()]
    return all_succeed([["-m", "pytest", "-q", *found]], task_environment())


def check_tests() -> bool:
    """Run all tests."""
    return all_succeed([["-m", "pytest"]], task_environment())


def check_wheel() -> bool:
    """Build the wheel, install it without extras in a fresh environment, and use it elsewhere."""
    with tempfile.TemporaryDirectory(prefix="semfn-wheel-") as name:
        folder, elsewhere = Path(name), Path(name, "elsewhere")
        elsewhere.mkdir()
        build = ["wheel", "-qq", "--no-deps", "--no-index", "--no-build-isolation", "-w", name]
        if subprocess.call([*pip_command(python_of(VENV)), *build, str(ROOT)]):
            return False
        wheel = str(next(folder.glob("semfn-*.whl")))
        make_venv(folder / "venv")
        python = python_of(folder / "venv")
        if not install(python, ["--require-hashes", "-r", str(ROOT / CORE_LOCK)]):
            return False
        if not install(python, ["--no-deps", "--no-index", wheel]):
            return False
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        semfn = str(python.with_name("semfn.exe" if os.name == "nt" else "semfn"))
        commands = (
            [semfn, "--help"],
            [semfn, "--version"],
            [str(python), "-c", "import analysis, semfn; print(*semfn.__all__)"],
        )
        is_good = True
        for command in commands:
            done = subprocess.run(
                command, cwd=elsewhere, env=environment, capture_output=True, text=True
            )
            if done.returncode or not done.stdout.strip():
                say(
                    f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
                )
                is_good = False
        return is_good


STEPS: dict[str, Callable[[], bool]] = {
    "lint": check_lint,
    "types": check_types,
    "docs": check_docs,
    "wheel": check_wheel,
    "tests": check_tests,
}


def run_steps(names: Sequence[str]) -> int:
    """Run the named check steps, all of them, and name those that failed at the end."""
    failed = []
    for name in names:
        started = time.monotonic()
        say(f"check {name}: {STEPS[name].__doc__}")
        is_good = STEPS[name]()
        say(f"check {name}: {'ok' if is_good else 'FAILED'} ({time.monotonic() - started:.1f} s)")
        if not is_good:
            failed.append(name)
    say(f"Failed: {', '.join(failed)}." if failed else f"All steps passed: {', '.join(names)}.")
    return 1 if failed else 0


def main(arguments: Sequence[str]) -> int:
    """Run the task that the first argument names; return the exit code."""
    task, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    if task in ("-h", "--help"):
        print(__doc__)
        return 0
    if task not in ("demo", "test", "check"):
        say("Usage: python3 bootstrap.py demo|test|check [ARGS...]")
        return 2
    unknown = [name for name in rest if name not in STEPS] if task == "check" else []
    if unknown:
        say(f"Unknown step {unknown[0]!r}. Steps: {' '.join(STEPS)}.")
        return 2
    os.chdir(str(ROOT))
    try:
        prepare(CORE_LOCK if task == "demo" else DEV_LOCK)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Cannot make {VENV}: {error}. Delete that folder and call again.")
    if task == "check":
        return run_steps(rest or list(STEPS))
    module = "analysis.commands.demo" if task == "demo" else "pytest"
    return hand_over(["-m", module, *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
