"""Calls all five methods of a running penstock with grpcio and stubs that are made here and now.

It exits with 0 only if every answer is right. Usage:

    probe.py --proto externalscaler.proto --penstock HOST:PORT --redis HOST:PORT
"""

import argparse
import importlib
import pathlib
import socket
import sys
import tempfile

import grpc
from grpc_tools import protoc

DEADLINE = 10  # seconds for anything at all; the contract's own times are tested elsewhere


def stubs(proto, folder):
    """Compiles the .proto into the folder and imports what comes out."""
    well_known = pathlib.Path(protoc.__file__).parent / "_proto"
    code = protoc.main([
        "protoc", f"-I{proto.parent}", f"-I{well_known}",
        f"--python_out={folder}", f"--grpc_python_out={folder}", proto.name,
    ])
    assert code == 0, f"protoc ended with {code}"
    sys.path.insert(0, folder)
    name = proto.stem
    return importlib.import_module(f"{name}_pb2"), importlib.import_module(f"{name}_pb2_grpc")


def redis(address, *words):
    """Sends one command in RESP and returns the first line of the reply."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as link:
        parts = [f"*{len(words)}\r\n"] + [f"${len(word)}\r\n{word}\r\n" for word in words]
        link.sendall("".join(parts).encode())
        reply = link.makefile("rb").readline().decode().strip()
    assert not reply.startswith("-"), f"{words}: {reply}"
    return reply


def refused(call, code, word):
    """Asserts that a call ends with this code, and a message that has this word."""
    try:
        answer = call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        assert word in error.details(), error
    else:
        raise AssertionError(f"not refused: {answer}")


def probe(messages, scaler, redis_address):
    """Asserts on every method."""
    trigger = messages.ScaledObjectRef(
        name="worker", namespace="jobs", scalerMetadata={"queue": "emails", "target": "2.5"})

    specs = scaler.GetMetricSpec(trigger, timeout=DEADLINE).metricSpecs
    assert len(specs) == 1, specs
    assert (specs[0].targetSize, specs[0].targetSizeFloat) == (3, 2.5), specs
    refused(lambda: next(scaler.StreamMetricSpec(trigger, timeout=DEADLINE)),
            grpc.StatusCode.UNIMPLEMENTED, "GetMetricSpec")

    def value():
        request = messages.GetMetricsRequest(scaledObjectRef=trigger, metricName="any")
        values = scaler.GetMetrics(request, timeout=DEADLINE).metricValues
        assert len(values) == 1, values
        assert values[0].metricName == "any", values
        assert values[0].metricValue == values[0].metricValueFloat, values
        return values[0].metricValue

    assert value() == 0
    assert scaler.IsActive(trigger, timeout=DEADLINE).result is False

    activity = scaler.StreamIsActive(trigger, timeout=DEADLINE)
    assert next(activity).result is False, "the state comes first"
    assert redis(redis_address, "LPUSH", "emails", "a", "b", "c") == ":3"
    assert next(activity).result is True, "the edge is pushed"
    print("pushed: true")
    activity.cancel()
    assert value() == 3
    assert scaler.IsActive(trigger, timeout=DEADLINE).result is True

    wrong = messages.ScaledObjectRef(scalerMetadata={"quue": "emails"})
    specs = scaler.GetMetricSpec(wrong, timeout=DEADLINE).metricSpecs
    assert [(spec.metricName, spec.targetSizeFloat) for spec in specs] == [("penstock-refused", 1)]
    for method in [scaler.IsActive, lambda *asked, **how: next(scaler.StreamIsActive(*asked, **how))]:
        refused(lambda call=method: call(wrong, timeout=DEADLINE),
                grpc.StatusCode.INVALID_ARGUMENT, "quue")


def main():
    """Parses the arguments and runs the probe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proto", type=pathlib.Path, required=True)
    parser.add_argument("--penstock", required=True)
    parser.add_argument("--redis", required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        messages, services = stubs(arguments.proto, folder)
        with grpc.insecure_channel(arguments.penstock) as channel:
            scaler = services.ExternalScalerStub(channel)
            probe(messages, scaler, arguments.redis)
    print("all five methods answered")


if __name__ == "__main__":
    main()
