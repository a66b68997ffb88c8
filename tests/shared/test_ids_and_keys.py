"""Ids sort by the time of their making; a key is one key, whoever asks first."""

import threading
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime import ids, keys

_moments = st.integers(0, (1 << 48) * 1_000_000 - 1)


@given(_moments, _moments, st.integers(0, (1 << 62) - 1), st.integers(0, (1 << 62) - 1))
def test_ids_sort_by_time(first_ns: int, second_ns: int, first_entropy: int, second_entropy: int) -> None:
    first, second = ids.uuid7(first_ns, first_entropy), ids.uuid7(second_ns, second_entropy)
    if abs(first_ns - second_ns) > 250:
        assert (first < second) == (first_ns < second_ns)


@given(_moments, st.integers(0, (1 << 62) - 1))
def test_an_id_is_a_uuid_of_version_7_that_holds_its_millisecond(unix_ns: int, entropy: int) -> None:
    made = uuid.UUID(ids.uuid7(unix_ns, entropy))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == unix_ns // 1_000_000


def test_ids_made_one_after_another_differ() -> None:
    made = [ids.new_id("op") for _ in range(10_000)]
    assert len(set(made)) == 10_000
    assert all(len(one) == 29 and one.startswith("op_") for one in made)


@pytest.mark.parametrize("prefix", ["", "Op", "1x", "a-b", "x" * 17])
def test_a_prefix_is_a_short_word(prefix: str) -> None:
    with pytest.raises(ValueError):
        ids.new_id(prefix)


def test_a_uuid_has_one_form() -> None:
    assert ids.is_uuid(ids.uuid7())
    for other in ("", "x", ids.uuid7().upper(), ids.uuid7().replace("-", ""), "{" + ids.uuid7() + "}"):
        assert not ids.is_uuid(other)


def test_many_who_ask_first_get_the_same_key(tmp_path: Path) -> None:
    got: list[bytes] = []
    start = threading.Barrier(16)

    def ask() -> None:
        start.wait()
        got.append(keys.load(tmp_path, "pages"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 16 and set(got) == {keys.load(tmp_path, "pages")}
    [file] = (tmp_path / "secrets").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_key_cut_short_is_refused(tmp_path: Path) -> None:
    keys.load(tmp_path, "pages")
    (tmp_path / "secrets" / "pages.key").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"pages\.key"):
        keys.load(tmp_path, "pages")


def test_a_ring_begins_with_one_key_grows_and_loses_what_is_destroyed(tmp_path: Path) -> None:
    first = keys.ring(tmp_path, "kek")
    assert list(first) == [1] and keys.ring(tmp_path, "kek") == first
    keys.load(tmp_path, "kek-other")
    assert keys.extend(tmp_path, "kek") == 2
    grown = keys.ring(tmp_path, "kek")
    assert list(grown) == [1, 2] and grown[1] == first[1] != grown[2]
    assert keys.age_s(tmp_path, "kek-2") < 60
    keys.destroy(tmp_path, "kek-1")
    keys.destroy(tmp_path, "kek-1")
    assert keys.ring(tmp_path, "kek") == {2: grown[2]}
    assert keys.extend(tmp_path, "kek") == 3, "numbers are not used again"
