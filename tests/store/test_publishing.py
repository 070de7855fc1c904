"""Stores and shards in an object store: the same arrays come out, and nothing is sent twice."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from object_store import KEY, Bucket, object_store
from small_store import CONFIG, SmallStore

from megabase.artifacts import location
from megabase.artifacts.publishing import LISTING
from megabase.commands.publish import publish
from megabase.errors import InputError
from megabase.store.config import ShardsConfig
from megabase.store.reader import Shards


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with object_store() as bucket:
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")
        yield bucket


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallStore:
    small = SmallStore(tmp_path_factory.mktemp("store"))
    small.write_splicing(3)
    return small


def published(folder: Path, url: str, verify: bool = False) -> str:
    (line,) = publish(folder, url, verify)
    return line


def equal(ours: Shards, theirs: Shards) -> None:
    for i, shift, turned in ((0, 0, False), (3, -100, True), (len(theirs) - 1, 63, False)):
        one, two = (own.read(i, shift=shift, reverse_complement=turned, gene_slots=4) for own in (ours, theirs))
        assert np.array_equal(one.sequence, two.sequence) and one.targets.keys() == two.targets.keys()
        for head in two.targets:
            assert np.array_equal(one.targets[head], two.targets[head], equal_nan=head == "contact_maps")
        for name in two.masks:
            assert np.array_equal(one.masks[name], two.masks[name])


def test_shards_that_point_into_a_store_beside_them(small: SmallStore, bucket: Bucket) -> None:
    paths = small.shards("viewed")
    with pytest.raises(InputError, match="s3://bucket/here/train: no shards here"):
        Shards.open("s3://bucket/here/train")
    published(paths["train"], "s3://bucket/here/shards/made/viewed/train.zarr")
    with pytest.raises(InputError, match=r"its store s3://bucket/here/store/made\.zarr is absent"):
        Shards.open("s3://bucket/here/shards/made/viewed/train.zarr/")
    published(small.store, "s3://bucket/here/store/made.zarr")
    equal(Shards.open("s3://bucket/here/shards/made/viewed/train.zarr"), Shards.open(paths["train"]))


def test_copied_shards_stand_alone(small: SmallStore, bucket: Bucket) -> None:
    path = small.shards("copied", ShardsConfig(**{**CONFIG.__dict__, "layout": "copy"}))["train"]
    published(path, "s3://bucket/train.zarr", verify=True)
    equal(Shards.open("s3://bucket/train.zarr"), Shards.open(path))


def test_the_same_in_googles_store(
    small: SmallStore, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", bucket.url)
    monkeypatch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "token")
    path = small.shards("google", ShardsConfig(**{**CONFIG.__dict__, "layout": "copy"}))["train"]
    published(path, "gs://bucket/train.zarr", verify=True)
    equal(Shards.open("gs://bucket/train.zarr"), Shards.open(path))


def test_only_what_differs_is_sent_and_what_is_gone_is_removed(bucket: Bucket, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "weights").mkdir(parents=True)
    (folder / "model.json").write_text("{}")
    (folder / "weights" / "a").write_bytes(b"a" * 100)
    (folder / "weights" / "b").write_bytes(b"b")
    (folder / ".12.partial.c").write_bytes(b"c")
    assert published(folder, "s3://bucket/m/").endswith(
        "3 files, 0.0 MB, of which 3 files, 0.0 MB, were sent; 0 removed"
    )
    assert set(bucket.objects) == {"m/model.json", "m/weights/a", "m/weights/b", f"m/{LISTING}"}
    bucket.requests.clear()
    assert "of which 0 files" in published(folder, "s3://bucket/m")
    assert not bucket.asked("PUT")
    (folder / "weights" / "a").write_bytes(b"A" * 100)
    (folder / "weights" / "b").unlink()
    assert "of which 1 files, 0.0 MB, were sent; 1 removed" in published(folder, "s3://bucket/m")
    assert set(bucket.objects) == {"m/model.json", "m/weights/a", f"m/{LISTING}"}
    assert bucket.objects["m/weights/a"] == b"A" * 100
    # Before it was replaced, the listing no longer had it.
    assert bucket.asked("PUT") == [f"m/{LISTING}", "m/weights/a", f"m/{LISTING}"]


def test_what_was_interrupted_goes_on(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        (tmp_path / f"{number:02d}").write_bytes(bytes([number]) * 50)
    (tmp_path / "zarr.json").write_text("{}")
    sent = []

    def broken(path: Path, url, described) -> None:
        if len(sent) == 25:
            raise InputError("no way", where=url, remedy="none")
        sent.append(path.name)
        url.write_bytes(path.read_bytes())

    with monkeypatch.context() as patched:
        patched.setattr("megabase.artifacts.publishing._send", broken)
        with pytest.raises(InputError, match="no way"):
            published(tmp_path, "s3://bucket/x")
    assert "x/zarr.json" not in bucket.objects
    listed = json.loads(bucket.objects[f"x/{LISTING}"])["files"]
    done = {name for name, file in listed.items() if file}
    assert 0 < len(done) <= 25 and len(listed) == 41 and all(f"x/{name}" in bucket.objects for name in done)
    # A file that may have been sent, and is gone before it is sent again, does not stay behind.
    lost = next((name for name in sent if name not in done), sent[-1])
    (tmp_path / lost).unlink()
    bucket.requests.clear()
    published(tmp_path, "s3://bucket/x", verify=True)
    assert f"x/{lost}" not in bucket.objects
    assert bucket.asked("PUT")[-2:] == ["x/zarr.json", f"x/{LISTING}"]
    assert len(bucket.asked("PUT")) == 41 - len(done | {lost}) + 2


def test_what_is_being_replaced_cannot_be_opened(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zarr.json").write_text("{}")
    (tmp_path / "chunk").write_bytes(b"old")
    published(tmp_path, "s3://bucket/x")
    (tmp_path / "chunk").write_bytes(b"new")
    with monkeypatch.context() as patched:
        patched.setattr("megabase.artifacts.publishing._send", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            published(tmp_path, "s3://bucket/x")
    assert "x/zarr.json" not in bucket.objects
    published(tmp_path, "s3://bucket/x", verify=True)
    assert (bucket.objects["x/zarr.json"], bucket.objects["x/chunk"]) == (b"{}", b"new")


def test_an_object_that_is_not_what_was_sent(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"right")
    published(tmp_path, "s3://bucket/x")
    bucket.objects["x/a"] = b"wrong"
    assert "of which 0 files" in published(tmp_path, "s3://bucket/x")
    with pytest.raises(InputError, match="s3://bucket/x/a: is not what was sent; publish again"):
        published(tmp_path, "s3://bucket/x", verify=True)
    published(tmp_path, "s3://bucket/x", verify=True)
    assert bucket.objects["x/a"] == b"right"


def test_refusals_are_one_line_without_secrets(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    with caplog.at_level(logging.DEBUG), pytest.raises(InputError) as error:
        published(tmp_path, "s3://bucket/x")
    assert "s3://bucket/x" in str(error.value) and "\n" not in str(error.value)
    assert "the-secret" not in caplog.text + str(error.value)
    # Without a key, anybody's access is asked for.
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(InputError, match="credentials"):
        published(tmp_path, "s3://bucket/x")
    with pytest.raises(InputError, match="no files here"):
        (tmp_path / "empty").mkdir()
        published(tmp_path / "empty", "s3://bucket/x")
    with pytest.raises(InputError, match="no folder here"):
        published(tmp_path / "absent", "s3://bucket/x")
    for url in ("ftp://bucket/x", "s3://", "somewhere/else"):
        with pytest.raises(InputError, match="gs://bucket/path or s3://bucket/path"):
            published(tmp_path, url)


def test_addresses() -> None:
    url = location("s3://bucket/a/b/c.zarr")
    assert str(url / "d/e") == "s3://bucket/a/b/c.zarr/d/e" and str(url / "../../x") == "s3://bucket/a/x"
    assert url.parts == ("bucket", "a", "b", "c.zarr") and url.stem == "c"
    assert location("a/b") == Path("a/b") and str(location("gs://bucket")) == "gs://bucket/"
