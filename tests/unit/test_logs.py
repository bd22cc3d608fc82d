"""What clients write is made safe before it is logged."""

from app.logs import RequestRecord, clean

KEY = "sk-unit-0123456789abcdef"


def test_a_key_in_a_field_that_is_logged_is_not_shown() -> None:
    record = RequestRecord(client_request_id=f"id {KEY}", peer=KEY, model=KEY, method="GET")

    assert KEY not in str(record.fields())
    assert record.fields()["client_request_id"] == "id ?"


def test_what_is_no_key_is_shown() -> None:
    assert clean("disk-0123456789abcdef, 10.0.0.1") == "disk-0123456789abcdef, 10.0.0.1"
