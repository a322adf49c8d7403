#!/usr/bin/python3
"""Appends three plain records and reads them back: plain_records.py HOST:PORT TOPIC

Needs python3-grpcio, python3-protobuf and protoc; messages are generated at run time. Creates the
topic, with one partition, if there is none."""
import pathlib
import subprocess
import sys
import tempfile

import grpc


def load_messages(proto_dir):
    generated = tempfile.TemporaryDirectory()
    names = [f"varve/v1/{name}.proto" for name in ("error", "log", "topic")]
    subprocess.run(["protoc", f"-I{proto_dir}", f"--python_out={generated.name}", *names],
                   check=True)
    sys.path.insert(0, generated.name)
    from varve.v1 import log_pb2, topic_pb2
    return generated, log_pb2, topic_pb2


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: plain_records.py HOST:PORT TOPIC")
    address, topic = sys.argv[1:]
    _generated, log, topics = load_messages(pathlib.Path(__file__).resolve().parents[2] / "proto")

    channel = grpc.insecure_channel(address)
    def call(method, request, reply):
        return channel.unary_unary(f"/varve.v1.{method}", type(request).SerializeToString,
                                   reply.FromString)(request, timeout=30)

    try:
        call("TopicService/CreateTopic", topics.CreateTopicRequest(name=topic, partitions=1),
             topics.CreateTopicReply)
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.ALREADY_EXISTS:
            sys.exit(f"{error.code().name}: {error.details()}")

    records = [log.PlainRecord(key=f"key-{i}".encode(), value=f"value {i}".encode()) for i in range(3)]
    item = log.ProduceItem(partition=0, records=log.PlainRecords(records=records))
    result = call("LogService/Produce", log.ProduceRequest(topic=topic, items=[item]),
                  log.ProduceReply).results[0]
    if result.HasField("error"):
        sys.exit(f"not appended: {result.error.message}")
    print(f"appended at offset {result.base_offset}")

    wanted = log.FetchPartition(topic=topic, partition=0, offset=result.base_offset)
    request = log.FetchRequest(partitions=[wanted], plain_records=True, min_bytes=1, max_wait_ms=1000)
    fetched = call("LogService/Fetch", request, log.FetchReply).results[0]
    if fetched.HasField("error"):
        sys.exit(f"not read: {fetched.error.message}")
    for record in fetched.records:
        print(f"{record.offset} {record.key.decode()}={record.value.decode()}")


if __name__ == "__main__":
    main()
