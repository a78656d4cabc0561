"""Drives a model server by other people's clients, and prints what they got.

Arguments: which client (triton or kserve: both define the same messages, so they
cannot share a process), HTTP address, gRPC address. The
server has the model "magika".
"""
import asyncio
import json
import queue
import sys

import numpy as np

client_name, http_address, grpc_address = sys.argv[1:4]
rows = np.arange(2 * 2048, dtype=np.int32).reshape(2, 2048) % 256
got, errors = {}, {}


def keep(name, scores):
    got[name] = np.asarray(scores, dtype=np.float32).reshape(2, -1)


def refused(name, call, expected):
    try:
        call()
    except expected as e:
        errors[name] = f"{e.status()}: {e.message()}"


def either(name, module, client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("magika")
    metadata = client.get_model_metadata("magika")
    client.get_server_metadata()
    tensor = module.InferInput("bytes", [2, 2048], "INT32")
    tensor.set_data_from_numpy(rows)
    answer = client.infer("magika", [tensor], request_id="7", timeout=60_000_000, priority=1)
    keep(name, answer.as_numpy("target_label"))
    output = module.InferRequestedOutput("target_label")
    keep(name + " output", client.infer("magika", [tensor], outputs=[output]).as_numpy("target_label"))
    wrong = module.InferInput("bytes", [1, 2047], "INT32")
    wrong.set_data_from_numpy(rows[:1, :2047])
    refused(name + " shape", lambda: client.infer("magika", [wrong]), module.InferenceServerException)
    refused(name + " model", lambda: client.infer("absent", [tensor]), module.InferenceServerException)
    return tensor, metadata


def triton():
    import tritonclient.grpc as triton_grpc
    import tritonclient.http as triton_http

    with triton_http.InferenceServerClient(http_address, concurrency=4) as client:
        _, metadata = either("triton http", triton_http, client)
        assert metadata["inputs"][0]["shape"] == [-1, 2048], metadata
        tensor = triton_http.InferInput("bytes", [2, 2048], "INT32")
        tensor.set_data_from_numpy(rows, binary_data=False)
        output = triton_http.InferRequestedOutput("target_label", binary_data=False)
        keep("triton http json", client.infer("magika", [tensor], outputs=[output]).as_numpy("target_label"))
        later = client.async_infer("magika", [tensor])
        keep("triton http async", later.get_result().as_numpy("target_label"))

    with triton_grpc.InferenceServerClient(grpc_address) as client:
        tensor, metadata = either("triton grpc", triton_grpc, client)
        assert list(metadata.inputs[0].shape) == [-1, 2048], metadata
        answers = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        for i in range(3):
            client.async_stream_infer("magika", [tensor], request_id=str(i))
        for i in range(3):
            result, error = answers.get(timeout=60)
            assert error is None, error
            assert result.get_response().id == str(i)
            keep("triton grpc stream", result.as_numpy("target_label"))
        client.stop_stream()
        client.async_infer("magika", [tensor], lambda result, error: answers.put((result, error)))
        result, error = answers.get(timeout=60)
        assert error is None, error
        keep("triton grpc async", result.as_numpy("target_label"))


async def kserve():
    from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

    def request(binary):
        tensor = InferInput("bytes", [2, 2048], "INT32")
        tensor.set_data_from_numpy(rows, binary_data=binary)
        return InferRequest("magika", [tensor], request_id="9")

    rest = InferenceRESTClient(RESTConfig(protocol="v2"))
    base = f"http://{http_address}"
    assert await rest.is_server_live(base) and await rest.is_server_ready(base)
    assert await rest.is_model_ready(base, "magika")
    for binary in (True, False):
        answer = await rest.infer(base, request(binary), model_name="magika")
        keep(f"kserve http binary={binary}", answer.outputs[0].as_numpy())
    grpc = InferenceGRPCClient(grpc_address)
    assert await grpc.is_server_live() and await grpc.is_server_ready() and await grpc.is_model_ready("magika")
    for binary in (True, False):
        answer = await grpc.infer(request(binary))
        keep(f"kserve grpc binary={binary}", answer.outputs[0].as_numpy())


if client_name == "triton":
    triton()
else:
    asyncio.run(kserve())

first = next(iter(got.values()))
print(json.dumps({
    "same": {name: bool(np.allclose(scores, first, atol=1e-6)) for name, scores in got.items()},
    "scores": [round(float(v), 5) for v in first.flatten()],
    "errors": errors,
}))
