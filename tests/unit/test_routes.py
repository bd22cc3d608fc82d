"""Routes are matched byte for byte, and hosts are hosts."""

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import BadRequest, GatewayError, MethodNotAllowed, RouteNotFound
from app.routes import TABLE, check_host, find_model_id, find_route, speaks_anthropic

targets = st.text(alphabet="/v1models.%2eEfFa?#;\\ -", max_size=30).map(lambda tail: "/" + tail)


@given(st.sampled_from(["GET", "POST", "HEAD", "get"]), targets | st.text(max_size=30))
def test_only_the_tables_own_spellings_match(method: str, target: str) -> None:
    try:
        route = find_route(method, target)
    except GatewayError:
        return
    path = target.split("?", 1)[0]
    assert route.method == method
    assert path == route.path or path.startswith("/v1/models/")


@pytest.mark.parametrize("path", sorted(TABLE))
def test_every_route_is_found_with_and_without_a_query(path: str) -> None:
    for method, route in TABLE[path].items():
        assert find_route(method, path) is route
        assert find_route(method, path + "?beta=true&x=/../y") is route


def test_a_wrong_method_names_the_right_ones() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        find_route("DELETE", "/admin/reload-keys")

    assert caught.value.headers() == {"Allow": "GET, POST"}


@given(st.text(alphabet="abc/.%2fF:@", max_size=20))
def test_a_model_id_never_holds_a_way_out(tail: str) -> None:
    try:
        model_id = find_model_id("/v1/models/" + tail)
    except GatewayError:
        return
    segments = model_id.split("/")
    assert all(segment.strip(".") for segment in segments)
    assert "%" not in model_id


@pytest.mark.parametrize(
    "model_id",
    ["m", "org/model", "org%2Fmodel", "Qwen/Qwen3-Coder-30B-A3B", "a.b_c:latest", "m%3Alatest"],
)
def test_ordinary_model_ids_pass(model_id: str) -> None:
    assert find_model_id("/v1/models/" + model_id)


@pytest.mark.parametrize("host", ["g", "localhost:8080", "a-b.example.com", "[::1]:80", "1.2.3.4", "h_1"])
def test_a_host_is_accepted(host: str) -> None:
    check_host(host, required=True)


@pytest.mark.parametrize(
    "host", ["", " ", "a b", "a@b", "a/b", "a?b", "a#b", "a,b", "a:99999", "a:x", "[::1", "ü", "a\n"]
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(BadRequest):
        check_host(host, required=False)


def test_a_host_may_be_absent_only_where_http_allows_it() -> None:
    check_host(None, required=False)
    with pytest.raises(BadRequest):
        check_host(None, required=True)


@pytest.mark.parametrize(
    ("target", "expected"),
    [("/v1/messages", True), ("/v1/messages?beta=true", True), ("/v1/messages/count_tokens", True),
     ("/v1/chat/completions", False), ("/v1/messages/x", False), ("/", False)],
)  # fmt: skip
def test_only_messages_speak_anthropic(target: str, expected: bool) -> None:
    assert speaks_anthropic(target) is expected


@given(
    st.sampled_from(sorted(TABLE)),
    st.integers(0, 40),
    st.integers(0, 2),
    st.text("/.%2fF;#\\ aA", max_size=2) | st.text(max_size=2),
)
@example("/health", 40, 0, "/")
@example("/tokenize", 0, 0, "/")
def test_a_path_that_differs_at_all_is_another(path: str, start: int, length: int, inserted: str) -> None:
    near = path[:start] + inserted + path[start + length :]
    spelled = near.split("?", 1)[0]

    if spelled not in TABLE and not spelled.startswith("/v1/models/"):
        with pytest.raises(RouteNotFound):
            find_route("POST", near)


segments = st.from_regex(r"[A-Za-z0-9_.:@+-]*[A-Za-z0-9_:@+-]", fullmatch=True)


@given(st.lists(segments, min_size=1, max_size=3), st.booleans())
def test_a_model_id_is_found_however_it_is_encoded(parts: list[str], whole: bool) -> None:
    model_id = "/".join(parts)
    spelled = "".join(f"%{ord(each):02x}" for each in model_id) if whole else quote(model_id, safe="")

    assert find_model_id("/v1/models/" + spelled) == model_id


@given(st.text("ab09.-_:[]@/?#%, \\\tü", max_size=14) | st.text(max_size=6))
def test_a_host_that_passes_is_read_in_one_way(host: str) -> None:
    try:
        check_host(host, required=True)
    except BadRequest:
        return
    try:
        parts = urlsplit(f"http://{host}/path")
    except ValueError:  # brackets around what is no address: no name either
        assert host.startswith("[")
        return
    assert (parts.netloc, parts.path, parts.username) == (host, "/path", None)
    assert parts.port is None or 0 <= parts.port <= 65535
