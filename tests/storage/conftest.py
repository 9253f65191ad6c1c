"""Stores on loopback: moto's S3 server and Azurite."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azurite
import pytest
from proxy import Proxy
from stores import Store


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture(scope="session")
def azure_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    try:
        with azurite.running(tmp_path_factory.mktemp("azurite")) as port:
            yield port
    except azurite.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "MLFLOW_", "FSSPEC_")):
            monkeypatch.delenv(name)
    monkeypatch.delenv("STENO_CACHE_GB", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("steno.storage.objects.FIRST_WAIT", 0.01)
    monkeypatch.setattr("steno.storage.objects.PATIENCE", 15.0)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def s3(s3_port: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Store]:
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    bucket = f"steno-{abs(hash(request.node.nodeid)):x}"

    def direct() -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{s3_port}")

    direct()
    boto3.client("s3").create_bucket(Bucket=bucket)
    with Proxy(s3_port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        yield Store(f"s3://{bucket}", f"s3://{bucket}", proxy, direct)


@pytest.fixture
def azure(azure_port: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Store]:
    from azure.storage.blob import BlobServiceClient

    container = f"steno-{abs(hash(request.node.nodeid)):x}"
    with BlobServiceClient.from_connection_string(azurite.connection_string(azure_port)) as client:
        client.create_container(container)

    def direct() -> None:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string(azure_port))

    with Proxy(azure_port) as proxy:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string(proxy.port))
        account = f"{container}@{azurite.ACCOUNT}"
        yield Store(f"abfs://{account}.dfs.core.windows.net", f"wasbs://{account}.blob.core.windows.net", proxy, direct)


@pytest.fixture(params=["s3", "azure"])
def store(request: pytest.FixtureRequest) -> Any:
    """Each of the stores."""
    return request.getfixturevalue(request.param)
