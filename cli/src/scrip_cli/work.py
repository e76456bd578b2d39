"""Long work: several items at once under a progress bar, and retries while the table is busy."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import batched

from scrip.retrying import retrying
from scrip_cli.report import progress_bar

WORKERS = 8
BATCH = 200
"""Items handed out at a time, so that a million of them never wait in memory."""

TRIES_MAX = 4
PAUSE_SECONDS = 1.0
"""How often to try, and the pauses between; each try itself takes as long as the ledger's tries."""


def work_through[Item](
    items: Iterable[Item], do: Callable[[Item], None], *, doing: str, total: int | None
) -> None:
    """Process items, WORKERS at a time.

    Raises KeyboardInterrupt, or what `do` raises, once the items that were begun are done.
    """
    with progress_bar() as progress, ThreadPoolExecutor(WORKERS) as pool:
        task = progress.add_task(doing, total=total)
        try:
            for some in batched(items, BATCH, strict=False):
                for _ in pool.map(do, some):
                    progress.advance(task)
        except BaseException:  # Ctrl-C among them
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def patiently[Answer](do: Callable[[], Answer]) -> Answer:
    """Do something that is safe to repeat, and retry while the table is busy.

    Raises BusyError after TRIES_MAX tries.
    """
    return retrying(do, tries=TRIES_MAX, backoff=PAUSE_SECONDS)
