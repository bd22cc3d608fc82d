"""Read the requirements files: what was wished for, what is locked, and where the two differ."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.local import ROOT

WISHES = tuple(sorted(file.name for file in ROOT.glob("requirements*.in")))
LOCKS = tuple(sorted(file.name for file in ROOT.glob("requirements*.txt")))
BY_HAND = {"torch": "requirements-torch-cpu.txt"}  # locked, but by no pip-compile

PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+))? \\")
DIGEST = re.compile(r"    --hash=sha256:([0-9a-f]{64})(?: \\)?")
WANTED_BY = re.compile(r"    #(?: via| {2})(?: +(.+))?")


class BadLine(Exception):
    """A line that no locked file may have."""


@dataclass(frozen=True)
class Pin:
    """One package of a lock: the digests of its files, and who wants it."""

    name: str
    version: str
    digests: tuple[str, ...]
    wanted_by: tuple[str, ...]


def read_lock(name: str) -> dict[str, Pin]:
    """The packages of one of this project's locks."""
    return parse_lock((ROOT / name).read_text())


def parse_lock(text: str) -> dict[str, Pin]:
    """Packages by name. Raises BadLine at a package without digest, an option, a URL."""
    pins: dict[str, Pin] = {}
    for block in re.split(r"\n(?=[^ #\n])", "\n" + text)[1:]:
        pin = _parse_block(block.splitlines())
        pins[pin.name] = pin
    return pins


def _parse_block(lines: Sequence[str]) -> Pin:
    head = PIN.fullmatch(lines[0])
    if not head:
        raise BadLine(lines[0])
    digests: list[str] = []
    wanted_by: list[str] = []
    for line in lines[1:]:
        if digest := DIGEST.fullmatch(line):
            digests.append(digest[1])
        elif wanted := WANTED_BY.fullmatch(line):
            wanted_by.append(wanted[1] or "")
        elif line and not line.startswith("#"):
            raise BadLine(line)
    if not digests:
        raise BadLine(lines[0])
    return Pin(head["name"], head["version"], tuple(digests), tuple(filter(None, wanted_by)))


def parse_wishes(text: str) -> dict[str, Requirement]:
    """What a person wrote, by name; other files (`-c`) are not followed. Raises on anything else."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    wishes = [Requirement(line) for line in lines if line and not line.startswith("-c requirements")]
    return {canonicalize_name(wish.name): wish for wish in wishes}


def find_drift(wishes_name: str, wishes_text: str, lock_text: str) -> list[str]:
    """Where a lock is not what its wishes compile to, as far as that can be told without an index."""
    wishes, pins = parse_wishes(wishes_text), parse_lock(lock_text)
    by_hand = {name: read_lock(BY_HAND[name])[name] for name in BY_HAND.keys() & wishes.keys() - pins.keys()}
    found = {**pins, **by_hand}
    roots = {pin.name for pin in pins.values() if f"-r {wishes_name}" in pin.wanted_by}
    return [
        *(f"{name} is not locked" for name in wishes.keys() - found.keys()),
        *(f"{name} is locked for no wish" for name in roots - wishes.keys()),
        *(f"{name} was locked before it was wished for" for name in pins.keys() & wishes.keys() - roots),
        *(f"{wish} is locked as another" for wish in wishes.values() if not _grants(wish, found)),
        *(f"{name} is locked for nobody" for name in pins.keys() - _reached(roots | by_hand.keys(), pins)),
    ]


def _grants(wish: Requirement, pins: Mapping[str, Pin]) -> bool:
    pin = pins.get(canonicalize_name(wish.name))
    return pin is None or wish.specifier.contains(pin.version, prereleases=True)


def _reached(names: Set[str], pins: Mapping[str, Pin]) -> Set[str]:
    """These packages, what they want, what that wants."""
    wanted = {pin.name for pin in pins.values() if names & set(pin.wanted_by)}
    return names if wanted <= names else _reached(names | wanted, pins)
