"""Long work: several things at once, under a progress bar, and patient with a busy table."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import batched

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scrip.retrying import retrying

WORKERS = 8
BATCH = 200
"""So many items are handed out at a time, so that a million of them never wait in memory."""

TRIES_MAX = 4
PAUSE_SECONDS = 1.0
"""How often, and after which pauses; one try by itself takes as long as the ledger's tries."""


def work_through[Item](
    items: Iterable[Item], do: Callable[[Item], None], *, doing: str, total: int | None
) -> None:
    """Do something with each item, WORKERS at a time.

    Ctrl-C, or an exception of `do`, is raised once what has been begun is done.
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
    """Do something that is safe to repeat, and repeat it while the table is busy.

    Raises BusyError if it stays busy.
    """
    return retrying(do, tries=TRIES_MAX, backoff=PAUSE_SECONDS)


def progress_bar() -> Progress:
    """Make a progress bar on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
