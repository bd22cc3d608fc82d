"""Every gcloud command in the build and in the documents is one that gcloud knows, with flags that it has.

The table is of one version of gcloud, and works everywhere; where a gcloud is installed, it reads each line
itself.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.render import TEMPLATE, render
from tests.cloud_files import google, read_build, render_environ
from tests.gcloud_lines import Call, alone, calls_in_document, calls_in_script, fault
from tests.local import ROOT

TABLE = google("gcloud")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BUILD_FILES = [ROOT / "cloudbuild.yaml", ROOT / "deploy/cloudrun.yaml"]
# No command has this flag: gcloud reads the line, tells what it does not know, and does nothing.
UNKNOWN = "--qqq"  # like no other, or gcloud also says what might have been meant


def comments(path: Path) -> str:
    """What stands behind # at the beginning of a line."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return "\n".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))


CALLS = [
    *(call for each in read_build()["steps"]
      for call in calls_in_script(f"step {each['id']}", each["script"])),
    *(call for path in BUILD_FILES for call in calls_in_document(path.name, comments(path))),
    *(call for line in comments(BUILD_FILES[0]).splitlines() if line.startswith("gcloud ")
      for call in calls_in_script("cloudbuild.yaml", line)),
    *(call for path in DOCUMENTS for call in calls_in_document(path.name, path.read_text())),
]  # fmt: skip
WHOLE = sorted({str(call): call for call in CALLS if call.is_whole}.items())
GOOD = "run services replace service.yaml --region=us-central1"


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_command_and_its_flags_are_in_the_table(call: Call) -> None:
    assert fault(call, TABLE) == ""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (GOOD + " --dryrun", "run services replace has no --dryrun"),
        ("run services replace service.yaml --region", "--region wants a value"),
        ("run service replace service.yaml", "not in the table"),
        (GOOD + " --project=p -q --quiet", ""),
    ],
)
def test_the_table_finds_what_is_not_there(line: str, says: str) -> None:
    found = fault(Call("here", tuple(line.split()), is_whole=True), TABLE)

    assert says in found
    assert bool(says) == bool(found)


TEXT = """\
Say `gcloud run services replace` or /usr/bin/gcloud x, or gcloud builds in a sentence.

```sh
X="$(gcloud run services list --region "$R" --format='value(a|b)' | head)" # gcloud auth login
printf %s "$A" | gcloud secrets versions add S \\
  --data-file=-
printf 'gcloud run services delete %s\\n' "$S"
```
"""


def test_every_call_in_a_document_is_seen() -> None:
    assert [(" ".join(call.words), call.is_whole) for call in calls_in_document("x", TEXT)] == [
        ("run services list --region word --format=value(a|b)", True),
        ("auth login", True),
        ("secrets versions add S --data-file=-", True),
        ("run services delete word", True),
        ("run services replace", False),
    ]


def test_the_build_calls_gcloud() -> None:
    assert {call.place for call in CALLS} >= {"step deploy", "step smoke-test", "cloudbuild.yaml"}


def test_sources_are_put_where_the_builds_account_may_read_them() -> None:
    submits = [call.words for call in CALLS if call.is_whole and call.words[:2] == ("builds", "submit")]

    assert len(submits) >= 4
    assert all(any(word.startswith("--gcs-source-staging-dir=") for word in words) for words in submits)


@pytest.fixture(scope="module")
def gcloud(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a gcloud that nobody has set up, and that reaches nobody."""
    if not shutil.which("gcloud"):
        pytest.skip("gcloud is not installed; the table alone was asked")
    folder, home = (tmp_path_factory.mktemp(name) for name in ("workspace", "home"))
    (folder / "service.yaml").write_text(render(TEMPLATE.read_text(), render_environ()))
    return {
        "PWD": str(folder),
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        **alone(home),
    }


def unknown_to(gcloud: dict[str, str], *words: str) -> str:
    """What the real one says to a line that also has a flag which does not exist."""
    ran = subprocess.run(
        ["gcloud", *words, UNKNOWN],
        cwd=gcloud["PWD"],
        env=gcloud,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    return " ".join(ran.stderr.partition("To search")[0].split())


@pytest.mark.parametrize(("name", "call"), WHOLE, ids=[name for name, _ in WHOLE])
def test_gcloud_itself_reads_the_line(gcloud: dict[str, str], name: str, call: Call) -> None:
    assert unknown_to(gcloud, *call.words).endswith(f"unrecognized arguments: {UNKNOWN}"), name


@pytest.mark.parametrize(
    "line",
    [
        GOOD + " --dryrun",
        "run service replace x",
        "run services replace no-such-file.yaml",
        "run services update-traffic x --to-revisions=word",
    ],
)
def test_gcloud_itself_finds_what_is_not_there(gcloud: dict[str, str], line: str) -> None:
    assert not unknown_to(gcloud, *line.split()).endswith(f"unrecognized arguments: {UNKNOWN}")
