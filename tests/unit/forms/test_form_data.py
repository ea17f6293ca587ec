"""FormData, PendingForm, and urlencoded bodies."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

import pytest
from multidict import MultiDict

from asgikit import DEFAULT_LIMITS, ContentTooLarge, Limits
from asgikit.forms import form_data
from asgikit.forms.form_data import FormData, PendingForm, read_fields
from asgikit.forms.uploads import UploadFile

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.anyio


async def test_fields_of_urlencoded_body_are_read() -> None:
    form = await read_fields(b"a=1&b=caf%C3%A9+x&&a=&c", DEFAULT_LIMITS)

    assert list(form.items()) == [("a", "1"), ("b", "café x"), ("a", ""), ("c", "")]
    assert not form.is_open
    await form.close()


async def test_too_many_fields_are_refused() -> None:
    with pytest.raises(ContentTooLarge) as caught:
        await read_fields(b"a=1&b=2", Limits(max_fields=1))

    assert caught.value.limit == "max_fields"


async def test_large_urlencoded_form_is_parsed_in_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = []

    def parse(*_: object, **__: object) -> list[tuple[str, str]]:
        threads.append(threading.get_ident())
        return [("a", "v")]

    monkeypatch.setattr(form_data, "parse_urlencoded", parse)
    await read_fields(b"a=" + b"v" * 300_000, DEFAULT_LIMITS)
    await read_fields(b"a=v", DEFAULT_LIMITS)

    assert threads[0] != threading.get_ident() == threads[1]


async def test_form_data_of_a_multidict_closes_its_files() -> None:
    upload = UploadFile("f", "x", b"v")
    fields: Iterable[tuple[str, str | UploadFile]] = [("a", "1"), ("f", upload)]
    form = FormData(MultiDict(fields))
    states = [form.is_open]
    await form.close()
    states.append(form.is_open)

    assert states == [True, False]
    assert form["a"] == "1"
    with pytest.raises(ValueError, match="closed"):
        await upload.read()


@pytest.mark.parametrize(
    "fields", [{"a": "1"}, [("a", "1")], MultiDict(a="1"), iter([("a", "1")]), FormData({"a": "1"})]
)
def test_form_data_is_made_of_mapping_or_pairs(fields: Any) -> None:
    assert list(FormData(fields).items()) == [("a", "1")]


def test_form_data_made_of_pairs_keeps_repeated_fields() -> None:
    upload = UploadFile(file=io.BytesIO(b"x"))
    form = FormData([("a", "1"), ("f", upload), ("a", "2")])

    assert form.getall("a") == ["1", "2"]
    assert form["f"] is upload
    assert form.is_open
    assert list(FormData()) == []


async def test_pending_form_is_awaited_or_closes_its_files() -> None:
    upload = UploadFile("f", "x", b"v")

    async def read(limits: Limits) -> FormData:
        assert limits is DEFAULT_LIMITS
        return FormData(MultiDict({"f": upload}))

    assert (await PendingForm(read, DEFAULT_LIMITS))["f"] is upload
    async with PendingForm(read, DEFAULT_LIMITS) as form:
        assert await upload.read() == b"v"
    assert not form.is_open
