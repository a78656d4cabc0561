package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flags are the command line.
type flags struct {
	modelPath, modelName, modelVersion string
	httpAddress, addressFile           string
	library                            string
	maxBatch, threads, capacity        int
	delay, drainDelay, drainTimeout    time.Duration
	maxBody                            int64
	faults                             []string
	seed                               uint64
}

const long = `Serves one version of one ONNX model by the Open Inference Protocol v2 over REST,
with dynamic batching that knows deadlines.

Requests that wait are ordered by deadline, which is the earlier of Envoy's
x-envoy-expected-rq-timeout-ms header and the request's own parameters.timeout (in
microseconds). A request that cannot be answered in time is refused at once with 429,
or with 504 if it already waited, instead of being answered late.

The server is ready (/v2/health/ready) after it ran every batch size once. On SIGTERM
readiness drops at once; requests are still accepted for --drain-delay, which should
exceed the callers' health check interval; then the listener closes and requests in
flight have --drain-timeout to finish. A second signal ends the process at once.

ONNX Runtime's shared library (1.24 or newer) is loaded from --onnxruntime-library or
$ONNXRUNTIME_LIBRARY.`

const example = `  # Serve a model and ask it what it takes.
  sluice-serve --model-path model.onnx --model-name filetype --model-version 3.3
  curl -s localhost:8000/v2/models/filetype

  # Infer: a tensor of one row.
  curl -s localhost:8000/v2/models/filetype/infer -d '{"inputs":
    [{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}'

  # Any free port; its address is written to a file once the server listens.
  sluice-serve --model-path model.onnx --model-name m --http-address 127.0.0.1:0 --address-file /tmp/address

  # For a demonstration: one request in twenty fails, and runs take twice as long,
  # from 15 seconds after the start on.
  sluice-serve --model-path model.onnx --model-name m \
    --inject-fault error-rate=0.05 --inject-fault latency-factor=2 --inject-fault after=15s`

const faultHelp = "for demonstrations only, repeatable: go wrong on purpose. What: error-rate=0.05 (share answered 500), " +
	"latency-factor=2 and latency-add=20ms (runs take longer), crash-after-requests=20, unready-after=30s. " +
	"When errors and latency begin: after=15s (from the start), after-requests=100"

func command() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:           "sluice-serve --model-path FILE --model-name NAME",
		Short:         "Serve an ONNX model by the Open Inference Protocol",
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
	f.register(c.Flags())
	return c
}

func (f *flags) register(s *pflag.FlagSet) {
	s.StringVar(&f.modelPath, "model-path", "", "the .onnx `file` to serve (required)")
	s.StringVar(&f.modelName, "model-name", "", "its `name` in /v2/models/NAME (required)")
	s.StringVar(&f.modelVersion, "model-version", "1", "its `version` in /v2/models/NAME/versions/VERSION")
	s.StringVar(&f.httpAddress, "http-address", "127.0.0.1:8000", "`host:port` to listen on; port 0 takes a free one")
	s.StringVar(&f.addressFile, "address-file", "", "write the address to this `file` once the server listens")
	s.StringVar(&f.library, "onnxruntime-library", os.Getenv("ONNXRUNTIME_LIBRARY"), "`path` of ONNX Runtime's shared library")
	s.IntVar(&f.maxBatch, "max-batch", 8, "most `rows` in one run; fewer are used where more would not raise the rate")
	s.IntVar(&f.threads, "threads", 1, "most `threads` one run may use")
	s.IntVar(&f.capacity, "queue-capacity", 256, "most `rows` that may wait; beyond it requests are refused with 429")
	s.DurationVar(&f.delay, "batch-delay", 0, "longest wait of a request on a free device for a fuller batch")
	s.Int64Var(&f.maxBody, "max-body", 64<<20, "most `bytes` in a request")
	s.DurationVar(&f.drainDelay, "drain-delay", time.Second, "on SIGTERM: accept requests for so long with readiness down")
	s.DurationVar(&f.drainTimeout, "drain-timeout", 20*time.Second, "on SIGTERM: then give requests in flight so long to finish")
	s.StringSliceVar(&f.faults, "inject-fault", nil, faultHelp)
	s.Uint64Var(&f.seed, "seed", 1, "`number` that decides which requests fail under --inject-fault")
}

// check reports every flag that cannot be used.
func (f *flags) check() error {
	var mistakes []error
	for _, required := range []struct{ flag, value string }{
		{"--model-path", f.modelPath}, {"--model-name", f.modelName}, {"--model-version", f.modelVersion},
	} {
		if required.value == "" {
			mistakes = append(mistakes, fmt.Errorf("%s: missing", required.flag))
		}
	}
	if f.library == "" {
		mistakes = append(mistakes, errors.New("--onnxruntime-library: missing, and $ONNXRUNTIME_LIBRARY is not set"))
	}
	for _, positive := range []struct {
		flag  string
		value int64
	}{
		{"--max-batch", int64(f.maxBatch)},
		{"--threads", int64(f.threads)},
		{"--queue-capacity", int64(f.capacity)},
		{"--max-body", f.maxBody},
		{"--drain-timeout", int64(f.drainTimeout)},
	} {
		if positive.value < 1 {
			mistakes = append(mistakes, fmt.Errorf("%s: positive, found %d", positive.flag, positive.value))
		}
	}
	if f.delay < 0 || f.drainDelay < 0 {
		mistakes = append(mistakes, fmt.Errorf("--batch-delay and --drain-delay: not negative, found %v and %v", f.delay, f.drainDelay))
	}
	return errors.Join(mistakes...)
}
