"""boto3 reads what cellroute wrote and the other way round; signatures and requests are botocore's."""

from __future__ import annotations

import contextlib
import ctypes
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from boto3.dynamodb.types import Binary, TypeSerializer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.utils import ContainerMetadataFetcher

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "PATH": os.environ["PATH"]}
NAMES = "key_attribute=customer_id&cell_attribute=cell_id&created_attribute=created_at"


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([os.environ["CELLROUTE_COMMAND"], "mapping", *arguments], capture_output=True, text=True,
                          env=environment or ENVIRONMENT, timeout=60)


def record(*arguments: str) -> dict[str, Any]:
    ran = run(*arguments)
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[0])
    return answer


def client(service: str, endpoint: str) -> Any:
    return boto3.client(service, region_name="eu-west-1", endpoint_url=endpoint, aws_access_key_id="AKIDEXAMPLE",
                        aws_secret_access_key="secret", config=Config(retries={"max_attempts": 0}))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["node", os.environ["CELLROUTE_DYNALITE"] + "/node_modules/dynalite/cli.js", "--host", "127.0.0.1",
         "--port", str(port), "--createTableMs", "0"], cwd=tmp_path_factory.mktemp("dynalite"))
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                client("dynamodb", url).list_tables()
                break
            except Exception:
                assert time.monotonic() < deadline, "dynalite does not answer"
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def make_table(endpoint: str, name: str, key: str) -> Any:
    client("dynamodb", endpoint).create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}])
    session = boto3.Session(aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret", region_name="eu-west-1")
    table = session.resource("dynamodb", endpoint_url=endpoint).Table(name)
    table.wait_until_exists()
    return table


def test_boto3_reads_what_cellroute_wrote(endpoint: str) -> None:
    table = make_table(endpoint, "written", "PartitionKey")
    url = f"dynamodb://written?region=eu-west-1&endpoint={endpoint}"
    now = "1700000000123456789"
    first = record("put", "tenant é", "--cell", "cell-a", "--tier", "retail", "--flag", "B,A", "--now", now,
                   "--mappings", url)
    item = table.get_item(Key={"PartitionKey": "tenant é"})["Item"]
    assert item == {
        "PartitionKey": "tenant é", "CellId": "cell-a", "CreatedAt": "2023-11-14T22:13:20.123456789Z",
        "LastUpdated": "2023-11-14T22:13:20.123456789Z", "Revision": 1, "Epoch": 1, "Tier": "retail",
        "Flags": ["B", "A"], "OpId": Binary(bytes.fromhex(first["op_id"]))}
    record("put", "tenant é", "--cell", "cell-b", "--now", now, "--mappings", url)
    item = table.get_item(Key={"PartitionKey": "tenant é"})["Item"]
    assert (item["CellId"], item["Revision"], item["Epoch"]) == ("cell-b", 2, 2)
    assert item["History"] == [{"cell": "cell-a", "first_epoch": 1, "last_epoch": 1}]
    record("put", "--base64", "/wA=", "--cell", "cell-a", "--mappings", url)
    assert table.get_item(Key={"PartitionKey": "base64:/wA="})["Item"]["CellId"] == "cell-a"


def test_cellroute_reads_tables_that_are_there_already(endpoint: str) -> None:
    mappings = make_table(endpoint, "CustomerCellMapping", "customer_id")
    profiles = make_table(endpoint, "CustomerProfiles", "customer_id")
    mappings.put_item(Item={"customer_id": "c-1", "cell_id": "cell-a", "created_at": "2024-01-01T00:00:00.5",
                            "email": "kept@example.com"})
    profiles.put_item(Item={"customer_id": "c-1", "tier": "hnw", "region": "eu-west-1", "risk_score": 1,
                            "compliance_flags": {"PII_RESTRICTED", "EU_RESIDENT"}})
    url = (f"dynamodb://CustomerCellMapping?region=eu-west-1&endpoint={endpoint}&{NAMES}&profiles=CustomerProfiles"
           "&tier_attribute=tier&region_attribute=region&flags_attribute=compliance_flags")
    read = record("get", "c-1", "--mappings", url)
    assert (read["cell"], read["revision"], read["epoch"]) == ("cell-a", 1, 1)
    assert read["created"] == 1704067200_500000000
    assert read["profile"] == {"tier": "hnw", "region": "eu-west-1", "plan": "",
                               "flags": ["EU_RESIDENT", "PII_RESTRICTED"]}
    assert record("list", "--mappings", url) == read
    assert record("list", "--cell", "cell-a", "--mappings", url) == read
    moved = record("put", "c-1", "--cell", "cell-b", "--mappings", url)
    assert (moved["revision"], moved["epoch"]) == (2, 2)
    item = mappings.get_item(Key={"customer_id": "c-1"})["Item"]
    assert (item["cell_id"], item["email"], item["Revision"]) == ("cell-b", "kept@example.com", 2)
    assert run("get", "c-2", "--mappings", url).returncode == 1


def test_cellroute_reads_a_record_that_boto3_wrote(endpoint: str) -> None:
    table = make_table(endpoint, "by-boto3", "PartitionKey")
    table.put_item(Item={
        "PartitionKey": "t", "CellId": "b", "CreatedAt": "2024-01-01T01:00:00+01:00",
        "LastUpdated": "2024-01-01T00:00:00Z", "Revision": 7, "Epoch": 3, "OpId": bytes(range(1, 17)), "State": "COPYING", "TargetCellId": "c",
        "TTL": 4102444800, "Ephemeral": True, "History": [{"cell": "a", "first_epoch": 1, "last_epoch": 2}],
        "Plan": "starter"})
    read = record("get", "t", "--mappings", f"dynamodb://by-boto3?region=eu-west-1&endpoint={endpoint}")
    assert read == {
        "key": "t", "cell": "b", "epoch": 3, "revision": 7, "op_id": bytes(range(1, 17)).hex(), "state": "COPYING",
        "target": "c", "created": 1704067200 * 10**9, "updated": 1704067200 * 10**9, "expires": 4102444800 * 10**9,
        "ephemeral": True, "deleted": False, "history": [{"cell": "a", "first_epoch": 1, "last_epoch": 2}],
        "profile": {"tier": "", "region": "", "plan": "starter", "flags": []}}


class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


def test_the_c_library_opens_a_table(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_table(endpoint, "from-c", "PartitionKey")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, ENVIRONMENT[name])
    header = (SOURCE / "capi/cellroute.h").read_text()

    def constant(name: str) -> int:
        found = re.search(rf"\b{name}\s*=?\s*\(?(-?\d+)", header)
        assert found is not None
        return int(found[1])

    library = ctypes.CDLL(os.environ["CELLROUTE_NET_LIBRARY"])
    store, capabilities = ctypes.c_void_p(), ctypes.c_uint32()

    def open_table(name: str) -> int:
        url = f"dynamodb://{name}?region=eu-west-1&endpoint={endpoint}".encode()
        code: int = library.cellroute_net_store_open(View(url, len(url)), None, ctypes.byref(store), None)
        return code

    assert open_table("not-there") == constant("CELLROUTE_E_NOT_FOUND")
    assert open_table("from-c") == 0
    assert library.cellroute_store_capabilities(store, ctypes.byref(capabilities)) == 0
    assert capabilities.value == constant("CELLROUTE_STORE_DURABLE") | constant("CELLROUTE_STORE_SHARED")
    library.cellroute_store_destroy(store)


def test_c_has_the_usage_of_tables_and_reads_their_streams(endpoint: str) -> None:
    for name in ("mappings-of-c", "profiles-of-c"):
        make_table(endpoint, name, "PartitionKey")
    url = f"dynamodb://mappings-of-c?region=eu-west-1&endpoint={endpoint}&profiles=profiles-of-c"
    ran = subprocess.run(
        [os.environ["CELLROUTE_DYNAMODB_STORE"], url, SOURCE / "tests/data/dynamodb_stream_event.json"],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


class Authority:
    """Whose word on servers' certificates counts, made for a test."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", "/CN=an authority", "-keyout", "ca.key", "-out", "ca.pem")
        self.file = str(directory / "ca.pem")

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def certificate(self, name: str, subject: str) -> tuple[str, str]:
        """The key and the certificate of a server that is called so, as text."""
        (self.directory / f"{name}.cnf").write_text(f"subjectAltName={subject}\n")
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-subj", "/CN=a server", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "2", "-extfile", f"{name}.cnf", "-out", f"{name}.pem")
        return (self.directory / f"{name}.key").read_text(), (self.directory / f"{name}.pem").read_text()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@contextlib.contextmanager
def dynalite_by_tls(key: str, certificate: str, directory: pathlib.Path) -> Iterator[int]:
    """dynalite that speaks TLS alone; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        ["node", os.environ["CELLROUTE_DYNALITE"] + "/node_modules/dynalite/cli.js", "--host", "127.0.0.1",
         "--port", str(port), "--createTableMs", "0", "--ssl", f"--key={key}", f"--cert={certificate}"],
        cwd=directory, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "dynalite does not answer"
                time.sleep(0.05)
        yield port
    finally:
        process.kill()
        process.wait()


def test_tables_are_read_and_written_by_tls(authority: Authority, tmp_path: pathlib.Path) -> None:
    key, certificate = authority.certificate("here", "IP:127.0.0.1")
    with dynalite_by_tls(key, certificate, tmp_path) as port:
        session = boto3.Session(aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret", region_name="eu-west-1")
        theirs = session.client("dynamodb", endpoint_url=f"https://127.0.0.1:{port}", verify=authority.file)
        theirs.create_table(
            TableName="by-tls", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "PartitionKey", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "PartitionKey", "AttributeType": "S"}])
        trusting = ENVIRONMENT | {"AWS_CA_BUNDLE": authority.file}
        url = f"dynamodb://by-tls?region=eu-west-1&endpoint=127.0.0.1:{port}"  # https where nothing is said
        put = run("put", "tenant", "--cell", "cell-a", "--mappings", url, environment=trusting)
        assert put.returncode == 0, put.stderr
        got = run("get", "tenant", "--mappings", url, environment=trusting)
        assert json.loads(got.stdout)["cell"] == "cell-a"
        item = theirs.get_item(TableName="by-tls", Key={"PartitionKey": {"S": "tenant"}})["Item"]
        assert item["CellId"] == {"S": "cell-a"}
        lines = "".join(json.dumps({"key": f"k{i}", "cell": "cell-a"}) + "\n" for i in range(40))
        (tmp_path / "records.jsonl").write_text(lines)
        imported = run("import", "--input", str(tmp_path / "records.jsonl"), "--mappings", url, environment=trusting)
        assert imported.returncode == 0, imported.stderr
        assert theirs.scan(TableName="by-tls", Select="COUNT")["Count"] == 41


@pytest.mark.parametrize("subject,trusted,told", [
    ("IP:127.0.0.1", "nobody", "certificate"),  # the system's authorities do not know it
    ("IP:127.0.0.1", "another", "certificate"),
    ("IP:127.0.0.1", "missing", "missing.pem"),
    ("DNS:dynamodb.eu-west-1.amazonaws.com", "own", "127.0.0.1"),
    ("IP:127.0.0.2", "own", "127.0.0.1")])
def test_who_is_not_trusted_is_sent_nothing(
    authority: Authority, tmp_path: pathlib.Path, subject: str, trusted: str, told: str
) -> None:
    key, certificate = authority.certificate("other", subject)
    environment = dict(ENVIRONMENT)
    if trusted == "own":
        environment["AWS_CA_BUNDLE"] = authority.file
    elif trusted != "nobody":
        other = Authority(tmp_path / "another")
        environment["AWS_CA_BUNDLE"] = other.file if trusted == "another" else str(tmp_path / "missing.pem")
    with dynalite_by_tls(key, certificate, tmp_path) as port:
        url = f"dynamodb://by-tls?region=eu-west-1&endpoint=https://127.0.0.1:{port}"
        ran = run("get", "tenant", "--mappings", url, environment=environment)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert told in ran.stderr
    assert "AWS_CA_BUNDLE" in ran.stderr


def test_a_server_without_tls_is_no_answer_to_https(endpoint: str) -> None:
    url = f"dynamodb://by-tls?region=eu-west-1&endpoint={endpoint.replace('http:', 'https:')}"
    ran = run("get", "tenant", "--mappings", url)
    assert (ran.returncode, ran.stdout) == (2, "")


@pytest.mark.parametrize("attribute", [
    {"CellId": 5}, {"CellId": "a b"}, {"Revision": "x"}, {"Revision": 0}, {"Revision": 1}, {"CreatedAt": "yesterday"},
    {"CreatedAt": 5}, {"Flags": ["ok", 5]}, {"Flags": {1, 2}}, {"Tier": ["x"]}, {"Flags": [str(i) for i in range(17)]}])
def test_an_item_that_is_none_is_an_error_and_not_absent(endpoint: str, attribute: dict[str, Any]) -> None:
    table = client("dynamodb", endpoint)
    if "damaged" not in table.list_tables()["TableNames"]:
        make_table(endpoint, "damaged", "PartitionKey")
    serialize = TypeSerializer().serialize
    item = {"PartitionKey": "t", "CellId": "cell-a"} | attribute
    table.put_item(TableName="damaged", Item={name: serialize(value) for name, value in item.items()})
    ran = run("get", "t", "--mappings", f"dynamodb://damaged?region=eu-west-1&endpoint={endpoint}")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert 'key "t"' in ran.stderr


class Recorder:
    """Answers as told, and keeps what it was asked."""

    def __init__(self, answer: Callable[[str, Any], tuple[int, Any]]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers["X-Amz-Target"].split(".")[1]
                recorder.requests.append((operation, dict(self.headers.items()), body))
                status, reply = answer(operation, json.loads(body))
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def bodies(self, operation: str) -> list[Any]:
        return [json.loads(body) for name, _, body in self.requests if name == operation]


DESCRIPTION = {"Table": {
    "TableStatus": "ACTIVE", "TableId": "x", "KeySchema": [{"AttributeName": "PartitionKey", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "PartitionKey", "AttributeType": "S"}]}}


def answer_table(operation: str, body: Any) -> tuple[int, Any]:
    replies: dict[str, Any] = {"DescribeTable": DESCRIPTION, "DescribeTimeToLive": {"TimeToLiveDescription": {}}}
    if operation == "BatchGetItem":
        return 200, {"Responses": {name: [] for name in body["RequestItems"]}, "UnprocessedKeys": {}}
    return 200, replies.get(operation, {})


@pytest.mark.parametrize("host", [
    "example.com", "10.0.0.1", "169.254.169.254", "localhost.example.com", "127.0.0.1.example.com"])
def test_whom_botocore_does_not_ask_for_keys_is_not_asked(host: str) -> None:
    with pytest.raises(ValueError):
        ContainerMetadataFetcher()._validate_allowed_url(f"http://{host}:9/keys")
    environment = {"PATH": os.environ["PATH"], "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{host}:9/keys"}
    ran = run("get", "tenant", "--mappings", "dynamodb://none?region=eu-west-1", environment=environment)
    assert ran.returncode == 2
    assert "is not asked" in ran.stderr


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_pods_keys_come_from_its_agent_for_the_token_in_its_file(host: str, tmp_path: pathlib.Path) -> None:
    """As EKS Pod Identity gives them: a URL, and a file with a token."""
    asked: list[tuple[str, str | None]] = []

    class Agent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            body = json.dumps({"AccessKeyId": "ASIAPOD", "SecretAccessKey": "s", "Token": "session", "AccountId": "1",
                               "Expiration": "2099-01-01T00:00:00Z"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    agent = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=agent.serve_forever, args=(0.01,), daemon=True).start()
    ContainerMetadataFetcher()._validate_allowed_url(f"http://{host}:{agent.server_port}/v1/credentials")
    (tmp_path / "token").write_text("of-the-pod")
    recorder = Recorder(answer_table)
    environment = {
        "PATH": os.environ["PATH"], "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{host}:{agent.server_port}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "older", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token")}
    ran = run("get", "tenant", "--mappings", f"dynamodb://table-1?region=eu-west-1&endpoint={recorder.endpoint}",
              environment=environment)
    assert ran.returncode == 1, ran.stderr
    assert asked == [("/v1/credentials", "of-the-pod")]
    assert len(recorder.requests) == 2
    for _, headers, _ in recorder.requests:
        assert headers["X-Amz-Security-Token"] == "session"
        assert "Credential=ASIAPOD/" in headers["Authorization"]


@pytest.mark.parametrize("key", ["plain", "a b+c%20d", "é\u2028\"\\/", "日本語 🚀", "&=?#;,'", "x" * 1024, "\t\x01\x7f"])
@pytest.mark.parametrize("secret,token,region", [
    ("secret", "", "eu-west-1"), ("wJalr/XUtn+FEMI:K7@MDENG%2F", "FwoGZXIvYXdzE//////////w+a==", "us-gov-west-1")])
def test_signatures_are_botocores(key: str, secret: str, token: str, region: str) -> None:
    recorder = Recorder(answer_table)
    environment = ENVIRONMENT | {"AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": region}
    if token:
        environment["AWS_SESSION_TOKEN"] = token
    ran = run("get", key, "--mappings", f"dynamodb://table-1?endpoint={recorder.endpoint}", environment=environment)
    assert ran.returncode == 1, ran.stderr
    assert [operation for operation, _, _ in recorder.requests] == ["DescribeTable", "BatchGetItem"]
    for _, headers, body in recorder.requests:
        said = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
                            headers["Authorization"])
        assert said is not None
        sent = {name.lower(): value for name, value in headers.items()}
        signed = said[2].split(";")
        assert {"content-type", "host", "x-amz-date", "x-amz-target"} <= set(signed) <= set(sent)
        assert ("x-amz-security-token" in signed) == bool(token)
        request = AWSRequest("POST", recorder.endpoint + "/", headers={name: sent[name] for name in signed}, data=body)
        request.context["timestamp"] = sent["x-amz-date"]
        signer = SigV4Auth(Credentials("AKIDEXAMPLE", secret, token or None), "dynamodb", region)
        canonical = signer.canonical_request(request)
        assert signer.signed_headers(signer.headers_to_sign(request)) == said[2]
        assert signer.scope(request) == said[1]
        assert signer.signature(signer.string_to_sign(request, canonical), request) == said[3]


@pytest.mark.parametrize("options,expected", [
    ([], {"BillingMode": "PAY_PER_REQUEST"}),
    (["--billing", "PROVISIONED", "--read-units", "5", "--write-units", "6", "--encryption", "aws"],
     {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
      "SSESpecification": {"Enabled": True, "SSEType": "KMS"}}),
    (["--encryption", "alias/x", "--stream", "--tag", "team=routing", "--tag", "a=b=c"],
     {"BillingMode": "PAY_PER_REQUEST",
      "SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/x"},
      "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
      "Tags": [{"Key": "team", "Value": "routing"}, {"Key": "a", "Value": "b=c"}]})])
def test_a_table_is_made_as_botocore_would(options: list[str], expected: dict[str, Any]) -> None:
    ours = Recorder(answer_table)
    ran = run("create-table", *options, "--mappings",
              f"dynamodb://new-table?region=eu-west-1&endpoint={ours.endpoint}")
    assert ran.returncode == 0, ran.stderr
    theirs = Recorder(answer_table)
    dynamodb = client("dynamodb", theirs.endpoint)
    throughput = {name: expected[name] for name in ("ProvisionedThroughput",) if name in expected}
    dynamodb.create_table(
        TableName="new-table", KeySchema=[{"AttributeName": "PartitionKey", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"}
                              for name in ("PartitionKey", "CellId", "TargetCellId")],
        GlobalSecondaryIndexes=[
            {"IndexName": index, "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "ALL"}} | throughput
            for index, name in (("CellIdIndex", "CellId"), ("TargetCellIdIndex", "TargetCellId"))], **expected)
    dynamodb.update_time_to_live(TableName="new-table",
                                 TimeToLiveSpecification={"AttributeName": "TTL", "Enabled": True})
    dynamodb.update_continuous_backups(TableName="new-table",
                                       PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    for operation in ("CreateTable", "UpdateTimeToLive", "UpdateContinuousBackups"):
        assert ours.bodies(operation) == theirs.bodies(operation)
        assert len(ours.bodies(operation)) == 1


def test_making_a_table_again_goes_on_where_it_stopped() -> None:
    def answer(operation: str, body: Any) -> tuple[int, Any]:
        if operation == "CreateTable":
            return 400, {"__type": "com.amazonaws.dynamodb.v20120810#ResourceInUseException"}
        if operation == "DescribeTimeToLive":
            return 200, {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "TTL"}}
        return answer_table(operation, body)

    recorder = Recorder(answer)
    ran = run("create-table", "--no-recovery", "--mappings",
              f"dynamodb://new-table?region=eu-west-1&endpoint={recorder.endpoint}")
    assert ran.returncode == 0, ran.stderr
    asked = [operation for operation, _, _ in recorder.requests]
    assert asked == ["CreateTable", "DescribeTable", "DescribeTimeToLive"]


def test_units_go_with_provisioned_billing() -> None:
    url = "dynamodb://new-table?region=eu-west-1&endpoint=http://127.0.0.1:1"
    for options in (["--read-units", "5"], ["--billing", "PROVISIONED"],
                    ["--billing", "PROVISIONED", "--read-units", "5"], ["--tag", "x"]):
        ran = run("create-table", *options, "--mappings", url)
        assert (ran.returncode, ran.stdout) == (2, "")


def test_policies_allow_what_the_store_asks_and_nothing_unknown() -> None:
    model = botocore.session.get_session().get_service_model("dynamodb")
    allowed: dict[str, set[str]] = {}
    for path in (SOURCE / "src/net/policies").glob("*.json"):
        policy = json.loads(path.read_text())
        actions = [action for statement in policy["Statement"] for action in statement["Action"]]
        allowed[path.stem] = {action.removeprefix("dynamodb:") for action in actions}
        # An action of its own, TagResource, goes with a tagged CreateTable.
        assert allowed[path.stem] <= set(model.operation_names)

    def asked(*names: str) -> set[str]:
        text = "".join((SOURCE / f"src/net/dynamodb_{name}.cpp").read_text() for name in names)
        return set(re.findall(r'"(\w+)"', text)) & set(model.operation_names)

    assert asked("store", "walk", "batches") == allowed["control_plane"]
    assert asked("table") <= allowed["create_table"]
    assert not {"UpdateItem", "DeleteItem", "PutItem"} & (allowed["router"] | allowed["cell"])


def test_the_recorded_stream_event_has_the_shapes_of_the_service() -> None:
    event = json.loads((SOURCE / "tests/data/dynamodb_stream_event.json").read_text())
    record_shape = botocore.session.get_session().get_service_model("dynamodbstreams").shape_for("Record")

    def check(shape: Any, value: Any, path: str) -> None:
        if shape.type_name == "structure":
            for name, inner in value.items():
                # userIdentity's members are written small in events.
                known = {member.lower(): member for member in shape.members}
                assert name.lower() in known, f"{path}.{name}"
                check(shape.members[known[name.lower()]], inner, f"{path}.{name}")
        elif shape.type_name == "map":
            for name, inner in value.items():
                check(shape.value, inner, f"{path}.{name}")
        elif shape.type_name == "list":
            for inner in value:
                check(shape.member, inner, path)

    for one in event["Records"]:
        source = one.pop("eventSourceARN")  # Lambda's own
        assert source.startswith("arn:aws:dynamodb:")
        check(record_shape, one, one["eventID"])
