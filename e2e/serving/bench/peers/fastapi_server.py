"""A model behind FastAPI, as one would write it: JSON in, JSON out, one run per request."""
import sys

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI, Request

name, path, port = sys.argv[1:4]
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(path, options)
kinds = {"tensor(int32)": np.int32, "tensor(float)": np.float32}
kind = kinds[session.get_inputs()[0].type]
app = FastAPI()


@app.get("/v2/health/ready")
def ready():
    return {}


def run(tensor):
    return session.run(None, {tensor["name"]: np.array(tensor["data"], kind).reshape(tensor["shape"])})[0]


@app.post(f"/v2/models/{name}/infer")
async def infer(request: Request):
    from starlette.concurrency import run_in_threadpool

    body = await request.json()
    scores = await run_in_threadpool(run, body["inputs"][0])
    return {"outputs": [{"name": "y", "datatype": "FP32", "shape": list(scores.shape), "data": scores.flatten().tolist()}]}


uvicorn.run(app, host="127.0.0.1", port=int(port), access_log=False, log_level="warning", loop="uvloop", http="httptools")
