"""The spool keeps every record, whatever happens to the process that writes it."""

import pytest

from steno.errors import TrackingError
from steno.tracking.delivery import batches, same_value
from steno.tracking.spool import RunNote, Spool

NOTE = RunNote("r1", "sqlite:///x.db", "speech", "1")


def test_records_come_back_in_order_from_any_position(tmp_path):
    spool = Spool(tmp_path, NOTE)
    middle = [spool.append({"kind": "tags", "values": {"n": str(n)}}) for n in range(5)][1]
    assert [record["values"]["n"] for _, record in spool.records(middle)] == ["2", "3", "4"]
    assert spool.end == [position for position, _ in spool.records()][-1]
    spool.close()


def test_numbers_that_are_not_finite_and_letters_survive(tmp_path):
    spool = Spool(tmp_path, NOTE)
    spool.append({"kind": "metrics", "values": {"wér": float("nan")}})
    (_, record), *_ = spool.records()
    assert record["values"]["wér"] != record["values"]["wér"]
    spool.close()


def test_half_a_line_of_a_killed_process_is_dropped(tmp_path):
    spool = Spool(tmp_path, NOTE)
    whole = spool.append({"kind": "tags", "values": {"a": "1"}})
    spool.close()
    with (tmp_path / "spool.jsonl").open("ab") as out:
        out.write(b'{"kind":"tags","val' + b"x" * 100_000)
    spool = Spool(tmp_path)
    assert spool.end == whole
    spool.append({"kind": "tags", "values": {"b": "2"}})
    assert [record["values"] for _, record in spool.records()] == [{"a": "1"}, {"b": "2"}]
    spool.close()


def test_what_was_sent_is_remembered(tmp_path):
    spool = Spool(tmp_path, NOTE)
    position = spool.append({"kind": "tags", "values": {}})
    spool.mark_sent(position)
    spool.close()
    again = Spool(tmp_path)
    assert (again.sent, again.note) == (position, NOTE)
    again.close()


def test_one_process_at_a_time_holds_a_spool(tmp_path):
    spool = Spool(tmp_path, NOTE)
    with pytest.raises(TrackingError, match="another process"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_a_kept_file_is_a_copy_of_that_moment(tmp_path):
    spool = Spool(tmp_path / "spool", NOTE)
    original = tmp_path / "plot.png"
    original.write_text("first")
    one = spool.keep_file(original)
    original.write_text("second")
    two = spool.keep_file(original)
    assert (one.name, one.read_text(), two.read_text()) == ("plot.png", "first", "second")
    spool.drop_files({"file": str(one.relative_to(spool.folder))})
    assert not one.exists()
    assert two.exists()
    spool.close()


def test_neighbours_of_one_kind_share_a_batch_and_files_go_alone():
    kinds = ["metrics", "metrics", "tags", "file", "file", "metrics"]
    records = [({"kind": kind, "file": "f"} if kind == "file" else {"kind": kind}) for kind in kinds]
    grouped = list(batches(enumerate(records, start=1)))
    assert [(position, len(group)) for position, group in grouped] == [(2, 2), (3, 1), (4, 1), (5, 1), (6, 1)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("1e-3", "0.001", True), ("20", "20", True), ("20", "21", False), ("False", "false", True), ("a", "A", False)],
)
def test_two_spellings_of_a_parameter(one, other, same):
    assert same_value(one, other) is same
