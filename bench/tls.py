"""TLS in front of the local AWS, which has none, with a certificate made for one run."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import botocore
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from scrip.aws import DATA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

HOST = "127.0.0.1"
BLOCK_BYTES = 65_536
END = "-----END CERTIFICATE-----\n"


@contextmanager
def tls_front(port: int, folder: Path) -> Iterator[dict[str, str]]:
    """Yield the variables that lead a client through TLS to a port; files go into a folder.

    The front runs in a process of its own. A client trusts as many roots as on AWS, because it
    loads them all for its first connection: this run's takes the place of the first of Amazon's
    that functions trust for the table, and of the first that botocore has for everything else.
    """
    root, chain = _certificates()
    bundle, table_roots = folder / "roots.pem", folder / "table_roots.pem"
    config, served = folder / "config", folder / "served.pem"
    _replace_first(root, Path(botocore.__file__).with_name("cacert.pem"), bundle)
    _replace_first(root, DATA / "amazon_roots.pem", table_roots)
    # Unlike AWS_CA_BUNDLE, this leaves the table's roots alone.
    config.write_text(f"[default]\nca_bundle = {bundle}\n")
    served.write_text(chain)
    spawn = get_context("spawn")
    mine, theirs = spawn.Pipe()
    front = spawn.Process(target=_serve, args=(port, served, theirs), daemon=True)
    front.start()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"https://{HOST}:{mine.recv()}",
            "AWS_CONFIG_FILE": str(config),
            "TABLE_ROOTS": str(table_roots),
        }
    finally:
        front.terminate()
        front.join()


def _replace_first(root: str, known: Path, file: Path) -> None:
    """Write a file with the roots of another one, the first of them replaced."""
    _, _, others = known.read_text().partition(END)
    file.write_text(root + others)


def _certificates() -> tuple[str, str]:
    """Return a new root, and what a server shows: its key, its certificate and the root."""
    root_key, key = (rsa.generate_private_key(65_537, 2_048) for _ in range(2))
    name, address = "Scrip's benchmark", x509.IPAddress(IPv4Address(HOST))
    root = _signed(name, root_key, root_key, x509.BasicConstraints(ca=True, path_length=None))
    leaf = _signed(HOST, key, root_key, x509.SubjectAlternativeName([address]), issuer=name)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return root, pem + leaf + root


def _signed(
    name: str,
    key: rsa.RSAPrivateKey,
    signer: rsa.RSAPrivateKey,
    purpose: x509.ExtensionType,
    issuer: str | None = None,
) -> str:
    """Return a certificate in PEM for a key, signed by another key, or by the same one."""
    now, is_root = datetime.now(UTC), issuer is None
    usage = x509.KeyUsage(
        digital_signature=not is_root,
        key_cert_sign=is_root,
        crl_sign=is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    built = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer or name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(purpose, critical=is_root)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _serve(port: int, served: Path, ready: Connection) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        aws_reader, aws_writer = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_copy(reader, aws_writer), _copy(aws_reader, writer))

    async def serve() -> None:
        server = await asyncio.start_server(forward, HOST, 0, ssl=context)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until one side ends, which ends the other."""
    try:
        while block := await reader.read(BLOCK_BYTES):
            writer.write(block)
            await writer.drain()
    except ConnectionError:
        pass  # a process that was measured has ended
    finally:
        writer.close()
