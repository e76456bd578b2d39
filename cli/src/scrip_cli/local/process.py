"""Start, find and stop the ministack process of a stack.

A running ministack holds a lock on the stack's pid file, and the kernel releases the lock when the
process ends. A pid is trusted only while the lock is held, so it is never stale or recycled, and of
two `up` in one folder only one wins.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from scrip_cli.errors import CommandError
from scrip_cli.local.stack import LocalStack

READY_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
_POLL_SECONDS = 0.1

# All of the person's environment that ministack and the functions get.
_INHERITED = ("HOME", "LANG", "LC_ALL", "TZ")


def claim(stack: LocalStack) -> int | None:
    """Lock the stack's pid file and write our own pid; None if a running stack holds the lock.

    The stack's folder is closed to other users of the machine. Returns the file's descriptor, for
    `start`. Raises CommandError if the folder cannot be used.
    """
    try:
        stack.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        stack.state_dir.chmod(0o700)  # it may be older
        lock = os.open(stack.pid_file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise CommandError(
            f"{stack.state_dir} cannot hold a stack: {exc.strerror}.",
            "Name another folder with --state.",
        ) from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    _write_pid(lock, os.getpid(), stack.port)
    return lock


def running_pid(stack: LocalStack) -> int | None:
    """Return the pid of the running stack, or None. A stack that is being built counts.

    Raises CommandError if the folder's stack runs on another port than this one.
    """
    with suppress(FileNotFoundError, NotADirectoryError), stack.pid_file.open() as pid_file:
        try:
            fcntl.flock(pid_file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid, port = map(int, pid_file.read().split())
            if port != stack.port:
                raise CommandError(
                    f"The stack in {stack.state_dir} runs on port {port}.",
                    f"Use --port {port}, or name another folder with --state.",
                ) from None
            return pid
    return None


def running_ports(root: Path) -> list[int]:
    """Return the ports of a project's stacks that run from the folders that ports stand for."""
    found = []
    for folder in root.glob(".scrip/*"):
        # It runs on another port, or is no stack's.
        with suppress(CommandError, ValueError):
            stack = LocalStack(root, int(folder.name), folder)
            if running_pid(stack) is not None:
                found.append(stack.port)
    return sorted(found)


def check_port(stack: LocalStack) -> None:
    """Raise CommandError if something listens on the stack's port."""
    with socket.socket() as probe:
        # As the server binds: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", stack.port))
        except OSError as exc:
            raise CommandError(
                f"Port {stack.port} is in use by another program.",
                "Stop that program, or choose another port with --port.",
            ) from exc


def start(stack: LocalStack, lock: int) -> subprocess.Popen[bytes]:
    """Start ministack and give it the lock. It outlives this process unless it is stopped."""
    # Each function process unpacks its layers here, and nothing ever removes them.
    scratch = stack.state_dir / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    with stack.log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "scrip_cli.local.server"],
            env=_server_environment(stack),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Its own session: Ctrl-C in the terminal reaches only us, and we ask it to stop.
            start_new_session=True,
            pass_fds=[lock],
        )
    _write_pid(lock, process.pid, stack.port)
    os.close(lock)
    return process


def wait_until_ready(stack: LocalStack, process: subprocess.Popen[bytes]) -> None:
    """Wait until ministack answers. Raises CommandError if it ends or takes too long."""
    import httpx

    deadline = time.monotonic() + READY_SECONDS_MAX
    with httpx.Client(trust_env=False) as http:
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(httpx.TransportError):
                if http.get(f"{stack.endpoint_url}/_ministack/ready").is_success:
                    return
            time.sleep(_POLL_SECONDS)
    raise CommandError("ministack did not start.", f"See {stack.log_file}.")


def stop(stack: LocalStack, pid: int) -> None:
    """Ask the stack to stop, if it still runs, and wait until its state is on disk.

    Raises CommandError if it hangs.
    """
    if running_pid(stack) != pid:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while running_pid(stack) is not None:
        if time.monotonic() > deadline:
            raise CommandError(
                f"The stack (pid {pid}) is still stopping after {STOP_SECONDS_MAX} seconds.",
                f"See {stack.log_file}; `kill -9 {pid}` ends it and loses unsaved data.",
            )
        time.sleep(_POLL_SECONDS)
    # The processes of its functions would otherwise linger for seconds, using memory.
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)


def _write_pid(lock: int, pid: int, port: int) -> None:
    # In one write and of a fixed length, so that no reader sees half a number.
    os.pwrite(lock, f"{pid:<10} {port:<5}\n".encode(), 0)


def _server_environment(stack: LocalStack) -> dict[str, str]:
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        **stack.aws_environment(),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(stack.port),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(stack.state_dir / "ministack"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(stack.state_dir / "s3"),
        "TMPDIR": str(stack.state_dir / "tmp"),
        # Listeners on fixed ports: two stacks would clash, and nothing here uses either.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
