"""Put into a layer what each cold start would otherwise work out again.

Run as `python -m scrip_cli.local.layer_data LAYER` in the project, with the functions' version of
Python.
"""

import json
import marshal
import sys
from importlib import import_module
from pathlib import Path
from typing import get_args

from scrip import dataclass_code


def compile_dataclasses(layer: Path) -> None:
    """Put the methods of all dataclasses that functions import into a layer, compiled.

    The functions are imported from here, since the layer may be for another processor.
    """
    kept = dataclass_code.keep()
    for handler in sorted(Path("functions").glob("*/handler.py")):
        import_module(".".join(handler.with_suffix("").parts))
    file = layer / "scrip" / "__pycache__" / dataclass_code.FILE.name
    file.write_bytes(marshal.dumps(kept))


def pick_endpoints(layer: Path) -> None:
    """Put the endpoints of those AWS services that functions call into a layer."""
    from botocore.loaders import Loader  # after the dataclasses of both are kept

    from scrip.aws import DATA, Service

    endpoints = Loader().load_data("endpoints")
    called = get_args(Service.__value__)
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in called if name in services}
    folder = layer / "scrip" / DATA.name
    folder.mkdir(exist_ok=True)
    (folder / "endpoints.json").write_text(json.dumps(endpoints, separators=(",", ":")))


if __name__ == "__main__":
    layer = Path(sys.argv[1]) / "python"
    compile_dataclasses(layer)
    pick_endpoints(layer)
