"""What is installed is what was locked, runs nothing by itself, and is all that the code needs."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution
from importlib.metadata import distributions as find_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from launch import environments
from launch.environments import Environment
from tests.local import ROOT
from tests.supply.locks import parse_wishes, read_lock

pytestmark = pytest.mark.timeout(300)  # where `make` has not installed them before

Installed = Mapping[str, Distribution]

GATEWAY = (*ROOT.glob("app/**/*.py"), ROOT / "wsgi.py", ROOT / "gunicorn.conf.py")
WISHED = parse_wishes((ROOT / "requirements.in").read_text())
OURS = {"app", "launch", "tests", "wsgi"}
VENVS_OWN = {"pip", "setuptools"}
# Python runs the lines of these files at every start.
ALLOWED_PTH = {
    "distutils-precedence.pth": "setuptools, which venv brings along before Python 3.12",
    "a1_coverage.pth": "coverage, for the processes that tests start",
}
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
MACHINES = [
    {**LINUX, "python_version": python, "python_full_version": f"{python}.0", "platform_machine": machine}
    for python in ("3.11", "3.12", "3.13", "3.14")
    for machine in ("x86_64", "aarch64")
]


def packages_folder(environment: Environment) -> Path:
    if environment is not environments.DEV:  # that one runs this test
        environments.install(environment)
    (folder,) = environment.python.parents[1].glob("lib/python*/site-packages")
    return folder


def distributions(environment: Environment) -> dict[str, Distribution]:
    found = find_distributions(path=[str(packages_folder(environment))])
    return {canonicalize_name(each.name): each for each in found}


@pytest.fixture(scope="module")
def installed() -> Installed:
    """What the gateway's own environment holds, by name."""
    return distributions(environments.GATEWAY_ALONE)


@pytest.mark.parametrize("name", ["gateway-alone", "dev", "audit-tools"])
def test_no_package_runs_code_at_every_start(name: str) -> None:
    folder = packages_folder(environments.BY_NAME[name])
    hooks = {
        file.name
        for pattern in ("*.pth", "sitecustomize*", "usercustomize*")
        for file in folder.glob(pattern)
    }

    assert hooks <= ALLOWED_PTH.keys()


@pytest.mark.parametrize(
    ("name", "lock"), [("gateway-alone", "requirements.txt"), ("audit-tools", "requirements-audit.txt")]
)
def test_what_is_installed_is_what_is_locked(name: str, lock: str) -> None:
    found = {each: it.version for each, it in distributions(environments.BY_NAME[name]).items()}
    locked = {each: pin.version for each, pin in read_lock(lock).items()}

    assert {each: found[each] for each in found.keys() - (VENVS_OWN - locked.keys())} == locked


@pytest.mark.parametrize(
    "machine", MACHINES, ids=lambda it: f"{it['python_version']}-{it['platform_machine']}"
)
def test_the_lock_is_whole_on_every_python(installed: Installed, machine: dict[str, str]) -> None:
    wanted = set(WISHED.values())
    done: set[Requirement] = set()
    while todo := wanted - done:
        for requirement in todo:
            assert requirement.specifier.contains(installed[canonicalize_name(requirement.name)].version)
            wanted |= set(wishes_of(installed, requirement, machine))
        done |= todo


def wishes_of(
    installed: Installed,
    requirement: Requirement,
    machine: dict[str, str],
) -> Iterator[Requirement]:
    """What a package asks for on that machine, also for the extras that it was asked for with."""
    for line in installed[canonicalize_name(requirement.name)].requires or ():
        wish = Requirement(line)
        extras = ("", *requirement.extras)
        if not wish.marker or any(wish.marker.evaluate({**machine, "extra": extra}) for extra in extras):
            wish.marker = None
            yield wish


def imported_modules(files: Iterable[Path]) -> set[str]:
    """The dotted names that these files import, without the standard library and this project's own."""
    names: set[str] = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names | OURS}


def named_classes(files: Iterable[Path]) -> set[str]:
    """What `logging.config` imports, by a name in a dictionary."""
    return {name for file in files for name in re.findall(r'"\(\)": "([\w.]+)"', file.read_text())}


@pytest.fixture(scope="module")
def owners(installed: Installed) -> dict[str, set[str]]:
    """The packages by the dotted names of the modules that they brought."""
    found: dict[str, set[str]] = {}
    for name, distribution in installed.items():
        for file in distribution.files or ():
            if file.suffix == ".py":
                parts = file.parent.parts if file.stem == "__init__" else (*file.parent.parts, file.stem)
                found.setdefault(".".join(parts), set()).add(name)
    return found


def find_owners(owners: Mapping[str, set[str]], module: str) -> set[str]:
    """Of the first part of the name that is a module: `google.auth`, since `google` itself is none."""
    parts = module.split(".")
    names = (".".join(parts[: count + 1]) for count in range(len(parts)))
    return next((owners[name] for name in names if name in owners), set())


def test_all_that_the_gateway_imports_was_wished_for(owners: Mapping[str, set[str]]) -> None:
    modules = imported_modules(GATEWAY)

    assert modules
    assert {module for module in modules if not find_owners(owners, module) & WISHED.keys()} == set()


def test_all_that_was_wished_for_is_imported(owners: Mapping[str, set[str]]) -> None:
    modules = imported_modules(GATEWAY) | named_classes(GATEWAY)

    assert set(WISHED).difference(*(find_owners(owners, module) for module in modules)) == set()


def test_make_serve_starts_with_nothing_installed() -> None:
    beside_vllm = {ROOT / "launch" / name for name in ("convert_gguf.py", "fetch_model.py")}  # they run there

    assert all(file.is_file() for file in beside_vllm)
    assert imported_modules(set(ROOT.glob("launch/*.py")) - beside_vllm) == set()
