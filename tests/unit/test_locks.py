"""Every package is locked by its digests, from one index, as it was wished for, and above its known holes."""

import pytest
from packaging.version import Version

from launch import environments
from tests.local import ROOT
from tests.supply.locks import LOCKS, WISHES, BadLine, find_drift, parse_lock, parse_wishes, read_lock

DIGEST = "    --hash=sha256:" + 64 * "a"
LOCK = f"""\
flask==3.1.3 \\
{DIGEST} \\
{DIGEST}
    # via -r some.in
werkzeug==3.1.9 ; python_version > "3" \\
{DIGEST}
    # via
    #   -c other.txt
    #   flask
"""

# What must not come back; the reasons are the advisories that the version before has.
FLOORS = {
    "gunicorn": ("26.1", "smuggling: CVE-2024-1135, CVE-2024-6827; duplicate Host, cut chunked bodies"),
    "gevent": ("23.9.0", "CVE-2023-41419, privileges through its own server"),
    "werkzeug": ("3.1.8", "CVE-2023-25577, CVE-2023-46136, multipart bodies; characters in Host"),
    "flask": ("3.1.3", "CVE-2025-47278, the order of signing keys; caching of sessions"),
    "requests": ("2.33.0", "CVE-2023-32681, CVE-2024-47081, CVE-2026-25645, leaks of credentials and files"),
    "urllib3": ("2.7.0", "CVE-2025-50181, CVE-2025-66418, CVE-2025-66471, CVE-2026-21441, CVE-2026-44431"),
    "vllm": ("0.32.0", "CVE-2026-48746, CVE-2026-115911, PYSEC-2026-4349: keys, templates"),
    "vllm-cpu": ("0.32.0", "as vllm"),
    "starlette": ("1.0.1", "CVE-2026-48710, a Host that passes for a path"),
}


def differing(one: str, other: str) -> set[str]:
    """The packages that two locks have in different versions."""
    left, right = read_lock(one), read_lock(other)
    return {name for name in left.keys() & right.keys() if left[name].version != right[name].version}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_locked_by_its_digests(lock: str) -> None:
    assert all(pin.digests for pin in read_lock(lock).values())


@pytest.mark.parametrize("wishes", WISHES)
def test_a_lock_is_what_its_wishes_say(wishes: str) -> None:
    lock = wishes.removesuffix(".in") + ".txt"

    assert find_drift(wishes, (ROOT / wishes).read_text(), (ROOT / lock).read_text()) == []


@pytest.mark.parametrize("wishes", WISHES)
def test_a_wish_is_a_package_of_the_index(wishes: str) -> None:
    assert all(wish.url is None for wish in parse_wishes((ROOT / wishes).read_text()).values())


@pytest.mark.parametrize("name", environments.BY_NAME)
def test_nothing_is_installed_but_by_digest(name: str) -> None:
    for *options, lock in environments.BY_NAME[name].steps:
        assert {"--require-hashes", "--no-deps", "--only-binary", ":all:"} < set(options)
        assert lock in LOCKS


@pytest.mark.parametrize(
    "place", ["requirements*", "Makefile", "*.sh", "*.toml", "*.yaml", "Dockerfile*", ".ci/*", "launch/*.py"]
)
def test_no_package_may_come_from_a_second_index(place: str) -> None:
    assert [file.name for file in ROOT.glob(place) if "extra-index" in file.read_text()] == []


@pytest.mark.parametrize("package", FLOORS)
def test_no_lock_goes_below_what_is_known_to_be_mended(package: str) -> None:
    floor, reason = FLOORS[package]
    locked = [pins[package].version for lock in LOCKS if package in (pins := read_lock(lock))]

    assert locked
    assert all(Version(version) >= Version(floor) for version in locked), reason


@pytest.mark.parametrize("other", ["requirements-dev.txt", "requirements-audit.txt"])
def test_tools_come_in_the_versions_that_the_gateway_has(other: str) -> None:
    assert differing("requirements.txt", other) == set()


def test_vllm_is_run_on_a_gpu_with_the_versions_that_are_tested_without_one() -> None:
    differ = differing("requirements-vllm-cpu.txt", "requirements-vllm-gpu.txt")

    assert differ == {"triton", "apache-tvm-ffi"}  # torch's build for CUDA and its kernels want their own


def test_a_lock_is_read_as_pip_compile_writes_it() -> None:
    flask, werkzeug = parse_lock(LOCK).values()

    assert (flask.name, flask.version, len(flask.digests)) == ("flask", "3.1.3", 2)
    assert flask.wanted_by == ("-r some.in",)
    assert werkzeug.wanted_by == ("-c other.txt", "flask")


@pytest.mark.parametrize(
    "line",
    [
        "flask==3.1.3\n    # via -r some.in\n",
        "flask>=3.1.3 \\\n" + DIGEST,
        "flask \\\n" + DIGEST,
        "flask @ https://example.com/flask.whl \\\n" + DIGEST,
        "flask==3.1.3 \\\n    --hash=md5:" + 32 * "a",
        "flask==3.1.3 \\\n" + DIGEST[:-1],
        "--extra-index-url https://example.com/simple\n",
        "--find-links /tmp\n",
        "-r other.txt\n",
        "https://example.com/flask.whl\n",
    ],
    ids=["no-digest", "range", "any", "url", "md5", "cut", "index", "folder", "file", "bare-url"],
)
def test_a_lock_with_a_loose_end_is_refused(line: str) -> None:
    with pytest.raises(BadLine):
        parse_lock(LOCK + line)


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ("flask==3.1.3", []),
        ("flask==3.1.4", ["flask==3.1.4 is locked as another"]),
        ("flask==3.1.3\ngevent==26.9.0", ["gevent is not locked"]),
        ("flask==3.1.3\nwerkzeug", ["werkzeug was locked before it was wished for"]),
        ("# nothing", ["flask is locked for no wish"]),
    ],
    ids=["same", "other", "added", "indirect", "dropped"],
)
def test_a_wish_that_was_not_compiled_is_found(wishes: str, told: list[str]) -> None:
    assert find_drift("some.in", wishes, LOCK) == told


def test_a_package_that_nobody_wants_is_found() -> None:
    planted = LOCK + f"left-over==1 \\\n{DIGEST}\n    # via gone\n"

    assert find_drift("some.in", "flask", planted) == ["left-over is locked for nobody"]
