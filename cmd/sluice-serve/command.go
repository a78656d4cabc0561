package main

import (
	"github.com/spf13/cobra"
)

const long = `Serves one model by the Open Inference Protocol v2 over REST and gRPC, with
batching that knows deadlines.

Requests that wait are ordered by deadline: the earliest of grpc-timeout, Envoy's
x-envoy-expected-rq-timeout-ms header and the request's own parameters.timeout (in
microseconds), moved by parameters.priority (1 urgent, 2 normal, 3 patient). Under overload a request is
refused before its body is read: urgent ones say so in the header x-sluice-priority, too. A request
that cannot be answered in time is refused at once with 429 (RESOURCE_EXHAUSTED), before
its body is read, or with 504 (DEADLINE_EXCEEDED) if it already waited, instead of being
answered late.

The server is ready (/v2/health/ready, and the gRPC health service) after it ran every
batch size that may pay. On SIGTERM readiness drops at once; requests are still accepted
for --drain-delay, which should exceed the callers' health check interval; then the
listeners close and requests in flight have --drain-timeout to finish. A second signal
ends the process at once. So give the pod a termination grace period above the sum.

A model is a .onnx file, or a folder with one folder per version as in 1/model.onnx; of
those the highest is served, and a higher one that appears is served as soon as it is
warm, while the old one still answers. One that cannot be opened is reported, the next
lower one is served, and the higher tried again. A file model.onnx.sha256 beside a model
is checked, and so is model.onnx.data.sha256; the digest of a model with weights in
model.onnx.data is that of both files, one after the other. On the processor all slots
share one session; on an accelerator each has its own.
With --remote the model is another server's, behind the same batching and signals.

Answers carry the server's load (the header endpoint-load-metrics, over gRPC the trailer
endpoint-load-metrics-bin), from which Envoy's client_side_weighted_round_robin takes its
weights. The gRPC port also answers OpenRcaService.

ONNX Runtime's shared library (1.24 or newer) is loaded from --onnxruntime-library or
$ONNXRUNTIME_LIBRARY.`

const example = `  # Serve a model and ask it what it takes.
  sluice-serve --model-path model.onnx --model-name filetype --model-version 3.3
  curl -s localhost:8000/v2/models/filetype

  # Infer: a tensor of one row.
  curl -s localhost:8000/v2/models/filetype/infer -d '{"inputs":
    [{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}'

  # Serve gRPC as well, to callers that show a token.
  sluice-serve --model-path model.onnx --model-name m --grpc-address :8001 \
    --tls-cert tls.crt --tls-key tls.key --token-file tokens

  # Batching, deadlines and load reports before a Triton server.
  sluice-serve --remote grpc://triton:8001 --remote-model resnet --model-name resnet

  # Answer every line of a file, and go on after a crash.
  sluice-serve predict --model-path model.onnx --model-name m --input in.jsonl --output out.jsonl

  # Stand before a server that speaks OpenAI's protocol.
  sluice-serve proxy --to http://vllm:8000 --limit 64

  # Any free port; its address is written to a file once the server listens.
  sluice-serve --model-path model.onnx --model-name m --http-address 127.0.0.1:0 --address-file /tmp/address

  # For a demonstration: one request in twenty fails, and runs take twice as long,
  # from 15 seconds after the start on.
  sluice-serve --model-path model.onnx --model-name m \
    --inject-fault error-rate=0.05 --inject-fault latency-factor=2 --inject-fault after=15s`

func command() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:           "sluice-serve --model-path FILE --model-name NAME",
		Short:         "Serve a model by the Open Inference Protocol",
		Long:          long,
		Example:       example,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return run(c.Context(), f, c.ErrOrStderr())
		},
	}
	c.Flags().SortFlags = false
	f.registerModel(c.Flags())
	f.registerServer(c.Flags())
	c.AddCommand(predictCommand(), proxyCommand())
	return c
}
