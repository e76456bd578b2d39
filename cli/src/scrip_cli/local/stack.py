"""Where a local stack lives: its project, its port, its folder, and how to talk to its AWS."""

import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.session import Session as BotocoreSession

from scrip_cli.local.errors import StackError

STACK_NAME = "scrip-local"
REGION = "us-east-1"

# ministack's root caller. With AUTH=true every other key needs a user or a role behind it.
ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105  a local emulator's fixed key, and nobody's secret


@dataclass(frozen=True)
class LocalStack:
    """One local stack. Stacks with different ports and folders share nothing."""

    root: Path
    port: int
    state_dir: Path

    @property
    def endpoint_url(self) -> str:
        """Where all of ministack's AWS services answer."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def build_dir(self) -> Path:
        """What SAM built."""
        return self.state_dir / "build"

    @property
    def pid_file(self) -> Path:
        """The pid of the running ministack, which holds a lock on this file while it lives."""
        return self.state_dir / "pid"

    @property
    def log_file(self) -> Path:
        """What ministack and the functions printed."""
        return self.state_dir / "ministack.log"

    def api_url(self, api_id: str) -> str:
        """Address an HTTP API's default stage."""
        return f"{self.endpoint_url}/_aws/execute-api/{api_id}"

    def client(self, service: str) -> Any:
        """Make a client of this stack's AWS, whatever profile, region or proxy the person uses."""
        return _session().client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def aws_environment(self) -> dict[str, str]:
        """Environment variables that point any AWS tool at this stack and at nothing else."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PATH": tool_path(),
        }


@cache
def _session() -> boto3.Session:
    """Make a session that never looks at the person's own profile and files."""
    # Each: key in the config file, environment variable, default, conversion.
    settings: dict[str, Any] = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.Session(botocore_session=BotocoreSession(session_vars=settings))


def find_stack(port: int, state_dir: Path | None) -> LocalStack:
    """Find the project that the current folder is in, and the stack on a port of it.

    Raises StackError outside a project.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "template.yaml").is_file():
            state = state_dir.resolve() if state_dir else folder / ".scrip" / str(port)
            return LocalStack(root=folder, port=port, state_dir=state)
    raise StackError(
        "There is no template.yaml in this folder or any above it.",
        "Run the command inside the Scrip project.",
    )


def tool_path() -> str:
    """PATH with this interpreter's own tools first: `sam`, and the Python that SAM builds with."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def host_architecture() -> str:
    """Name this machine's architecture as Lambda does: compiled wheels must load right here."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def template_parameters() -> list[str]:
    """Name the parameters a local stack is built and deployed with, as SAM wants to read them."""
    return [
        "Stage=dev",
        f"Architecture={host_architecture()}",
        # Pages of whatever dev server runs on this machine may call the API.
        "AllowedOrigins=*",
        # So that the alarms are there to be tried; the local AWS sends no e-mail.
        "AlarmEmail=operator@example.com",
    ]
