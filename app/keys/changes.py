"""What a person does to a key file: changes of the decoded object, in place, that leave the rest as it is."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.keys.errors import KeyFileError
from app.keys.key_file import KeyFile, encode_key_file, listed, parse_key_file
from app.keys.key_store import Change
from app.keys.new_key import make_key
from app.keys.records import ALLOW_EMPTY, EntryError, digest_of, read_entry, read_time

ENDING_CHARS = 4
OWN_FIELDS = {"key", "digest", "id", "ending", "created", "not_before", "expires", "disabled"}  # of one key
Entries = dict[str, Any]
KeyChange = Callable[[Entries], str | None]  # in place; returns the key that it has made, if any


class ChangeRefused(Exception):
    """The change cannot be made as asked; the text says why."""


def guarded(change: KeyChange) -> Change:
    """The change, refused where it adds a problem, or where the key that it returns would open nothing."""

    def checked(entries: Entries) -> None:
        before = judge(encode_key_file(entries))
        key = change(entries)
        after = judge(encode_key_file(entries))
        is_worse = bool(before.records) and (len(after.problems) > len(before.problems) or not after.records)
        is_useless = key is not None and digest_of(key.encode()) not in {
            each.digest for each in after.records
        }
        if is_useless or (is_worse and ALLOW_EMPTY not in entries):
            new = [sentence for sentence in after.problems if sentence not in before.problems]
            raise ChangeRefused(listed(new or after.problems))

    return checked


def judge(data: bytes) -> KeyFile:
    """What the gateway would make of the file; no records, and one problem, where it would refuse it."""
    try:
        return parse_key_file(data)
    except KeyFileError as error:
        return KeyFile([], [str(error)])


def new_entry(key: str, key_id: str | None, *, is_plain: bool, **fields: Any) -> dict[str, Any]:
    """An entry for a key: its digest, or the key itself if `is_plain`, and the fields that have a value."""
    held = {"key": key} if is_plain else {"digest": f"sha256:{digest_of(key.encode())}"}
    ending = {} if is_plain else {"ending": ending_of(key)}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    given = {name: value for name, value in fields.items() if value is not None}
    return {**({"id": key_id} if key_id else {}), **held, **ending, "created": created, **given}


def ending_of(key: str) -> str | None:
    """The last characters, by which a person recognises a key; None for one that is too short for that."""
    return key[-ENDING_CHARS:] if len(key) >= 5 * ENDING_CHARS else None


def check_entry(name: str, entry: Any) -> None:
    """Raises ChangeRefused for an entry that the gateway could not use."""
    try:
        read_entry(name, entry)
    except EntryError as error:
        raise ChangeRefused(str(error)) from None


def add(entries: Entries, name: str, entry: Any, *, another: bool) -> None:
    """Give a new name its key, or with `another` a known name one more."""
    check_entry(name, entry)
    if name not in entries:
        entries[name] = entry
    elif another:
        entries[name] = [*_members(entries, name), entry]
    else:
        raise ChangeRefused(
            f"there is a key of {name!r} already: `rotate` replaces it, `add --another` adds one more"
        )
    entries.pop(ALLOW_EMPTY, None)


def rotate(entries: Entries, name: str, key_id: str | None, ends: str, expires: str | None = None) -> str:
    """Give a name a new key like its newest one, and let the old ones (or that of the id) end at `ends`.

    `expires` is the new key's own end. Returns the new key.
    """
    members = _members(entries, name)
    ending = _chosen(name, members, key_id)
    newest = members[max(ending)]
    model = newest if isinstance(newest, dict) else {}
    inherited = {field: model[field] for field in model.keys() - OWN_FIELDS}
    for nth in ending:
        members[nth] = _ended(name, members[nth], ends)
    key, new_id = make_key()
    members.append(new_entry(key, new_id, is_plain=False, expires=expires, **inherited))
    entries[name] = members
    return key


def expire(entries: Entries, name: str, key_id: str | None, ends: str) -> None:
    """Let the keys of a name, or the one of that id, count only until then."""
    members = _members(entries, name)
    chosen = _chosen(name, members, key_id)
    new = [_ended(name, member, ends, sooner_only=False) if nth in chosen else member
           for nth, member in enumerate(members)]  # fmt: skip
    entries[name] = new if isinstance(entries[name], list) else new[0]


def remove(entries: Entries, name: str, key_id: str | None, *, may_empty: bool) -> None:
    """Take out the keys of a name, or the one of that id. The last key of all goes only if that is meant."""
    members = _members(entries, name)
    chosen = _chosen(name, members, key_id)
    left = [member for nth, member in enumerate(members) if nth not in chosen]
    if left:
        entries[name] = left if len(left) > 1 else left[0]
    else:
        del entries[name]
    if not entries.keys() - {ALLOW_EMPTY}:
        if not may_empty:
            raise ChangeRefused("this is the last key of all: --allow-empty removes it and lets nobody in")
        entries[ALLOW_EMPTY] = True


def _members(entries: Entries, name: str) -> list[Any]:
    if name == ALLOW_EMPTY or name not in entries:
        raise ChangeRefused(f"there is no key of {name!r}")
    entry = entries[name]
    return list(entry) if isinstance(entry, list) else [entry]


def _chosen(name: str, members: list[Any], key_id: str | None) -> set[int]:
    chosen = {nth for nth, member in enumerate(members) if key_id in (None, _id(name, member))}
    if not chosen:
        raise ChangeRefused(f"{name!r} has no key with that id")
    return chosen


def _id(name: str, member: Any) -> str | None:
    try:
        return read_entry(name, member).key_id
    except EntryError:
        return None


def _ended(name: str, member: Any, ends: str, *, sooner_only: bool = True) -> Any:
    """The entry with its end; one that ends before that anyway stays as it is."""
    try:
        record = read_entry(name, member)
    except EntryError as error:
        raise KeyFileError(f"an entry of {name!r} cannot be used: {error}") from None
    if sooner_only and record.expires is not None and record.expires <= read_time(ends):
        return member
    fields = member if isinstance(member, dict) else {"key": member}
    return {**fields, "expires": ends}
