"""Lambda's REPORT lines, as it writes them to the log."""

from datetime import UTC, datetime, timedelta

from scrip_cli.smoke.times import log_streams, read_times

WARM = (
    "REPORT RequestId: 3604209a-e9a3-11e6-939a-754dd98c7be3\tDuration: 12.34 ms\t"
    "Billed Duration: 13 ms\tMemory Size: 512 MB\tMax Memory Used: 118 MB\t\n"
    "XRAY TraceId: 1-5e34a614-10bdxmplf1fb44f07bc535a1\tSegmentId: 07f5xmpl2d1f6f85\t"
)
COLD = (
    "REPORT RequestId: 29a85f51-1d29-4f62-9d4a-2f0a7c2a4f3b\tDuration: 100.50 ms\t"
    "Billed Duration: 551 ms\tMemory Size: 512 MB\tMax Memory Used: 118 MB\t"
    "Init Duration: 450.25 ms\t\n"
)
RESTORED = (
    "REPORT RequestId: 5dbe2e1e-8d3c-4a3b-b7a3-0c6f2a6d9e11\tDuration: 40.00 ms\t"
    "Billed Duration: 260 ms\tMemory Size: 512 MB\tMax Memory Used: 118 MB\t"
    "Restore Duration: 210.75 ms\tBilled Restore Duration: 90 ms\t\n"
)
START = "START RequestId: 3604209a-e9a3-11e6-939a-754dd98c7be3 Version: 3\n"


def test_a_cold_call_takes_its_start_or_its_restore_and_its_duration() -> None:
    times = read_times([START, WARM, COLD, RESTORED])
    assert times.cold == (550.75, 250.75)
    assert times.warm == (12.34,)


def test_the_line_has_the_median_of_each_kind_that_there_was() -> None:
    assert str(read_times([WARM, COLD, RESTORED])) == "cold 401 ms (n=2), warm 12 ms (n=1)"
    assert str(read_times([WARM])) == "warm 12 ms (n=1)"
    assert str(read_times([START])) == ""


def test_warm_calls_are_found_in_the_stream_of_the_day_on_which_their_process_started() -> None:
    began = datetime(2026, 11, 29, 23, 59, 30, tzinfo=UTC)
    found = log_streams("scrip-Consume-1", began, began + timedelta(minutes=1))
    assert found == [f"2026/11/{day}/scrip-Consume-1[" for day in (28, 29, 30)]
    assert len(log_streams("scrip-Consume-1", began, began)) == 2
