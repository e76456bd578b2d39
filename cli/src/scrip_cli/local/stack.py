"""A local stack: its project, port and folder, and clients of its AWS."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrip_cli.errors import CommandError

if TYPE_CHECKING:
    import boto3

STACK_NAME = "scrip-local"
REGION = "us-east-1"

# ministack's root caller. With AUTH=true every other key needs a user or a role.
ACCESS_KEY = "test"
SECRET_KEY = "test"  # noqa: S105  a local emulator's fixed key is no secret


@dataclass(frozen=True)
class LocalStack:
    """One local stack. Stacks with different ports and folders share nothing."""

    root: Path
    port: int
    state_dir: Path

    @property
    def endpoint_url(self) -> str:
        """The address of all of ministack's AWS services."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_url(self) -> str:
        """The address where back ends get tokens; on AWS it is the pool's own domain."""
        return f"{self.endpoint_url}/oauth2/token"

    @property
    def has_own_folder(self) -> bool:
        """Whether the folder is not the one that the port stands for."""
        return self.state_dir != default_folder(self.root, self.port)

    @property
    def build_dir(self) -> Path:
        """A link to the build of the functions and the layer that the stack is deployed from."""
        return self.state_dir / "build"

    @property
    def pid_file(self) -> Path:
        """The file with the pid of the running ministack, which holds a lock on it."""
        return self.state_dir / "pid"

    @property
    def log_file(self) -> Path:
        """The output of ministack and the functions."""
        return self.state_dir / "ministack.log"

    def api_url(self, api_id: str) -> str:
        """Return the address of an HTTP API's default stage."""
        return f"{self.endpoint_url}/_aws/execute-api/{api_id}"

    def client(self, service: str) -> Any:
        """Make a client of this stack's AWS that ignores the person's profile, region and proxy."""
        from botocore.config import Config

        return _session().client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    def aws_environment(self) -> dict[str, str]:
        """Return environment variables that point any AWS tool at this stack only."""
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
    """Make a session that never reads the person's own profile and files."""
    import boto3
    from botocore.session import Session as BotocoreSession

    # Each value: key in the config file, environment variable, default, conversion.
    settings: dict[str, Any] = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.Session(botocore_session=BotocoreSession(session_vars=settings))


def find_stack(port: int, state_dir: Path | None) -> LocalStack:
    """Find the project that the current folder is in, and its stack on a port.

    Raises CommandError outside a project.
    """
    root = project()
    state = state_dir.resolve() if state_dir else default_folder(root, port)
    return LocalStack(root=root, port=port, state_dir=state)


def default_folder(root: Path, port: int) -> Path:
    """Return the folder of a project's stack on a port."""
    return root / ".scrip" / str(port)


def project() -> Path:
    """Return the folder of the project that the current folder is in.

    Raises CommandError outside a project.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "template.yaml").is_file():
            return folder
    raise CommandError(
        "There is no template.yaml in this folder or any above it.",
        "Run the command inside the Scrip project.",
    )


def tool_path() -> str:
    """Return PATH with this interpreter's tools first: `sam`, and the Python that SAM uses."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def host_architecture() -> str:
    """Return this machine's architecture by Lambda's name: compiled wheels must load here."""
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def template_parameters() -> list[str]:
    """Return the parameters that a local stack is built and deployed with, in SAM's syntax."""
    return [
        "Stage=dev",
        f"Architecture={host_architecture()}",
        # Pages from any dev server on this machine may call the API.
        "AllowedOrigins=*",
        "IamCallers=On",
        # So that the alarms exist and can be tried; the local AWS sends no email.
        "AlarmEmail=operator@example.com",
    ]
