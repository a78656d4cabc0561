"""A model behind KServe's server."""
import logging
import sys

import numpy as np
import onnxruntime as ort
from kserve import InferOutput, InferResponse, Model, ModelServer

name, path, http_port, grpc_port = sys.argv[1:5]
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1


class ONNX(Model):
    def __init__(self):
        super().__init__(name)
        self.session = ort.InferenceSession(path, options)
        self.ready = True

    def predict(self, request, headers=None, response_headers=None):
        tensor = request.inputs[0]
        scores = self.session.run(None, {tensor.name: tensor.as_numpy()})[0]
        output = InferOutput("y", list(scores.shape), "FP32")
        output.set_data_from_numpy(scores, binary_data=True)
        return InferResponse(request.id, name, [output])


logging.disable(logging.INFO)
ModelServer(http_port=int(http_port), grpc_port=int(grpc_port), workers=1, enable_docs_url=False, access_log_format=None).start([ONNX()])
