"""What is started is as closed as it can be: sockets, arguments, variables, media."""

import ipaddress
import re
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from app.settings import SettingsError
from app.vllm_arguments import ALWAYS, NO_MEDIA_DOMAIN, WITHOUT_TRUST, check_extra_arguments
from tests.e2e import vllm_reviewed
from tests.e2e.served import QUESTION, Served
from tests.e2e.vllm_routes import inside_vllm, installed
from tests.vllm_variables import CLOSING, OPENING

# A host of another name than this machine's, which leads beyond loopback, as in a container.
IN_A_CONTAINER = """
hostname elsewhere
printf '127.0.0.1 localhost\\n%s elsewhere\\n' "$0" >"$1"
mount --bind "$1" /etc/hosts
shift
exec "$@"
"""
ADDRESSES = [
    "http://none/", "http://none/x.png", "HTTP://NONE", "https://none:443/", "http:///x", "http:none/",
    "http://none%2f/", "http://none%2F@example.com/", "httpx://none/", "http+unix://none/", "http://[::1]/x",
    "https://169.254.169.254/computeMetadata/v1/", "http://localhost:8000/v1/models", "http://example.com",
    "file:///etc/passwd", "file://none/etc/passwd",
]  # fmt: skip


def beyond_loopback(places: set[tuple[str, int]]) -> set[tuple[str, int]]:
    return {(host, port) for host, port in places if not ipaddress.ip_address(host).is_loopback}


def public_address() -> str:
    """One of this machine that others could reach."""
    known = [
        each.address for each in sum(psutil.net_if_addrs().values(), []) if each.family == socket.AF_INET
    ]
    return next((each for each in known if not ipaddress.ip_address(each).is_loopback), "")


def test_nothing_ever_listens_beyond_loopback(served: Served) -> None:
    places = served.listened | served.listening()

    assert ("127.0.0.1", served.port) in places
    assert beyond_loopback(places) == set()


class ServedElsewhere(Served):
    """In a namespace with a name of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, **settings)
        unshared = ("unshare", "--map-root-user", "--uts", "--mount")
        inner = ("sh", "-ec", IN_A_CONTAINER, public_address(), str(folder / "hosts"))
        self.command = (*unshared, *inner, *Served.command)


def test_only_the_gateway_listens_where_the_name_of_the_host_leads_beyond_loopback(tmp_path: Path) -> None:
    allowed = subprocess.run(["unshare", "--map-root-user", "--uts", "--mount", "true"], check=False)
    if allowed.returncode or not public_address():
        pytest.skip("needs a namespace and an address beyond loopback")
    with ServedElsewhere(tmp_path, HOST="0.0.0.0") as served:
        places = served.listened | served.listening()

    assert beyond_loopback(places) == {("0.0.0.0", served.port)}
    assert any(host == "127.0.0.1" for host, _ in places)  # vLLM's workers do talk over sockets


def test_vllms_server_listens_on_its_socket_only(served: Served) -> None:
    inet = served.api_server().net_connections("inet")

    assert [each for each in inet if each.laddr and not each.raddr] == []
    assert served.vllm_reply("GET", "/health")[0] == 200


def test_every_socket_of_vllms_processes_lies_in_a_folder_that_only_this_user_can_enter(
    served: Served,
) -> None:
    server = served.api_server()
    paths = {
        Path(each.laddr)
        for process in (server, *server.children(recursive=True))
        for each in process.net_connections("unix")
        if each.laddr.startswith("/")
    }

    assert Path(served.vllm_socket()) in paths
    assert len(paths) > 3
    assert {path.parent.stat().st_mode & 0o777 for path in paths} == {0o700}


def test_vllm_runs_without_variables_that_open_it(served: Served) -> None:
    environ = served.api_server().environ()

    assert not OPENING & set(environ)
    assert {name: environ[name] for name in CLOSING} == CLOSING


def test_every_argument_that_opens_vllm_exists_and_is_refused_however_it_is_begun() -> None:
    options = {name for names in installed()["options"] for name in names}
    refused = ALWAYS | WITHOUT_TRUST

    assert refused.keys() - options == set()
    for name in (name for name in refused if name.startswith("--")):
        for end in range(3, len(name) + 1):
            begun = name[:end]
            could_be = {begun} & options or {each for each in options if each.startswith(begun)}
            assert is_refused(begun) or not could_be & refused.keys(), begun


def is_refused(argument: str) -> bool:
    try:
        check_extra_arguments([argument], trust_remote_code=False)
    except SettingsError:
        return True
    return False


def test_no_other_argument_is_refused() -> None:
    refused = ALWAYS | WITHOUT_TRUST

    for names in installed()["options"]:
        expected = bool(set(names) & refused.keys())
        assert [is_refused(name) for name in names] == [expected] * len(names), names


def test_every_argument_that_sounds_dangerous_was_looked_at() -> None:
    found = {names[0] for names in installed()["options"] if names and not is_refused(names[0])}

    assert {name for name in found if vllm_reviewed.ARGUMENT.search(name)} == vllm_reviewed.ARGUMENTS


def test_every_variable_that_sounds_dangerous_was_looked_at() -> None:
    found = set(installed()["variables"])
    left = {name for name in found - OPENING - CLOSING.keys() if vllm_reviewed.VARIABLE.search(name)}

    assert left == vllm_reviewed.VARIABLES
    assert {name for name in OPENING | CLOSING.keys() if name.startswith("VLLM_")} <= found


def test_no_media_address_is_fetched_unless_its_domain_is_named() -> None:
    outcome = inside_vllm("fetched", NO_MEDIA_DOMAIN, *ADDRESSES)
    named = inside_vllm("fetched", "example.com", "http://example.com/x.png")

    assert set(outcome) == set(ADDRESSES)
    assert not [url for url, said in outcome.items() if not re.search("allowed domains|local files", said)]
    assert named == {"http://example.com/x.png": "it would be fetched"}


def test_a_text_model_refuses_a_picture_before_anything_is_fetched(served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as site:
        site.settimeout(0)
        url = f"http://127.0.0.1:{site.getsockname()[1]}/x.png"
        part = {"type": "text", "text": "", "uuid": "1", "image_url": url}
        body = {"messages": [*QUESTION, {"role": "user", "content": [part]}]}

        status, said = served.vllm_reply("POST", "/v1/chat/completions", body)

        with pytest.raises(BlockingIOError):
            site.accept()
    assert (status, b"multimodal" in said) == (400, True)
