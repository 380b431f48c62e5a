"""The lock files are hashed, name no index, and agree with the project file and each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tidy.source_tree import ROOT, assert_tidy, places, write_tree

CORE, DEV = "requirements.lock", "requirements-dev.lock"
CURE = "Make both lock files again as CONTRIBUTING.md says."
LOCKED_EXTRAS = ("test", "dev")


def lock_entries(root: Path, lock: str) -> list[tuple[int, str, list[str]]]:
    """Return line, requirement and the words after it for each entry of a lock file."""
    entries: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate((root / lock).read_text(encoding="utf-8").splitlines(), start=1):
        text = line.rstrip("\\ ").strip()
        if line[:1].isspace() and entries:
            entries[-1][2].append(text)
        elif text and not text.startswith("#"):
            entries.append((number, text, []))
    return entries


def hash_failures(root: Path, lock: str) -> list[str]:
    """Return entries without hashes, without one exact version, or with an address or option."""
    failures = []
    for line, entry, words in lock_entries(root, lock):
        where = f"{lock}:{line}"
        if entry.startswith("-") or "://" in " ".join([entry, *words]):
            failures.append(f"{where}: {entry!r} names an index or an address. {CURE}")
        elif not re.match(r"[A-Za-z0-9._-]+==[^\s*]+( ;|$)", entry):
            failures.append(f"{where}: {entry!r} is not one exact version. {CURE}")
        elif not words or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", w) for w in words):
            failures.append(f"{where}: {entry!r} has no sha256 hashes, or more than these. {CURE}")
    return failures


def locked(root: Path, lock: str) -> dict[str, list[Requirement]]:
    """Return the entries of a lock file by normalised name; markers may give several."""
    found: dict[str, list[Requirement]] = {}
    for _, entry, _ in lock_entries(root, lock):
        requirement = Requirement(entry)
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def dependency_failures(root: Path) -> list[str]:
    """Return dependencies without a lower bound, or missing from or too old in their lock file."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project.get("optional-dependencies", {})
    wanted = [(CORE, text) for text in project.get("dependencies", [])]
    wanted += [(DEV, text) for extra in LOCKED_EXTRAS for text in extras.get(extra, [])]
    unlocked = [text for extra in extras if extra not in LOCKED_EXTRAS for text in extras[extra]]
    failures = []
    for lock, text in [*wanted, *(("", text) for text in unlocked)]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:
            continue
        if not any(one.operator in (">=", "==", "~=") for one in requirement.specifier):
            failures.append(f"pyproject.toml:1: {text!r} has no lower bound. Write name>=version.")
        if lock:
            failures += lock_failures(requirement, locked(root, lock), lock)
    return failures


def lock_failures(
    requirement: Requirement, entries: dict[str, list[Requirement]], lock: str
) -> list[str]:
    """Return what is wrong with the locked versions of one dependency."""
    found = entries.get(canonicalize_name(requirement.name), [])
    if not found:
        return [f"{lock}:1: {str(requirement)!r} of pyproject.toml is not locked. {CURE}"]
    versions = [one.version for entry in found for one in entry.specifier]
    return [
        f"{lock}:1: {requirement.name} {version} does not fit {str(requirement)!r}. {CURE}"
        for version in versions
        if not requirement.specifier.contains(version, prereleases=True)
    ]


def superset_failures(root: Path) -> list[str]:
    """Return core entries that the dev lock lacks or has with another version or other hashes."""
    dev = {entry: sorted(words) for _, entry, words in lock_entries(root, DEV)}
    return [
        f"{CORE}:{line}: {entry!r} is not the same in {DEV}; bootstrap.py takes "
        f"a dev install for a core install. {CURE}"
        for line, entry, words in lock_entries(root, CORE)
        if dev.get(entry) != sorted(words)
    ]


def test_locks_are_hashed_and_name_no_index() -> None:
    """Each entry of both lock files is one version with sha256 hashes and nothing else."""
    assert_tidy(hash_failures(ROOT, CORE) + hash_failures(ROOT, DEV))


def test_dependencies_are_bounded_and_locked() -> None:
    """Each dependency has a lower bound, and its locked version fits it."""
    assert_tidy(dependency_failures(ROOT))


def test_dev_lock_contains_the_core_lock() -> None:
    """The dev lock holds all entries of the core lock, with the same hashes."""
    assert_tidy(superset_failures(ROOT))


HASH = "    --hash=sha256:" + "a" * 64


def test_planted_lock_entries_are_caught(tmp_path: Path) -> None:
    """Options, addresses, ranges, stars, and missing or weak hashes are found."""
    lines = (
        "--index-url https://index.example/simple",
        f"good==1.0 ; python_version < '3.12' \\\n{HASH}",
        "bare==1.0",
        f"range>=1.0 \\\n{HASH}",
        f"star==1.* \\\n{HASH}",
        f"far @ https://index.example/far.whl \\\n{HASH}",
        "weak==1.0 \\\n    --hash=md5:" + "a" * 32,
    )
    root = write_tree(tmp_path, {CORE: "\n".join(lines) + "\n"})
    expected = [f"{CORE}:{line}" for line in (1, 4, 5, 7, 9, 11)]
    assert expected == places(hash_failures(root, CORE))


def test_planted_dependencies_are_caught(tmp_path: Path) -> None:
    """A missing bound, a missing entry and a version below the bound are found."""
    project = (
        '[project]\nname = "semfn"\ndependencies = ["A_b[x]>=1", "free", "old>=2", "gone>=1"]\n'
        '[project.optional-dependencies]\ntest = ["tool>=1"]\nextra = ["loose<3"]\n'
        'dev = ["semfn[test]"]\n'
    )
    core = f"a-b==1.5 \\\n{HASH}\nfree==1.0 \\\n{HASH}\nold==1.9 \\\n{HASH}\n"
    root = write_tree(tmp_path, {"pyproject.toml": project, CORE: core, DEV: core})
    failures = dependency_failures(root)
    expected = ["'free'", "old 1.9", "'gone>=1'", "'tool>=1'", "'loose<3'"]
    missed = [word for word, text in zip(expected, failures, strict=True) if word not in text]
    assert not missed


def test_planted_difference_between_locks_is_caught(tmp_path: Path) -> None:
    """A missing entry and another hash are found; more entries in the dev lock are fine."""
    other = HASH.replace("a" * 64, "b" * 64)
    core = f"a==1 \\\n{HASH}\nb==1 \\\n{HASH}\nc==1 \\\n{HASH}\n"
    dev = f"a==1 \\\n{HASH}\nb==1 \\\n{other}\nd==1 \\\n{HASH}\n"
    root = write_tree(tmp_path, {CORE: core, DEV: dev})
    expected = [f"{CORE}:3", f"{CORE}:5"]
    assert expected == places(superset_failures(root))
