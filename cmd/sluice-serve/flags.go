package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/sluice-dev/sluice/serving/backend/onnx"
)

// flags are the command line.
type flags struct {
	modelPath, modelName, modelVersion string
	digest                             string
	reload                             time.Duration
	memory                             int64
	library, provider                  string
	device, threads                    int
	remote, remoteModel, remoteVersion string

	maxBatch, capacity, devices, slots int
	maxBytes                           int64
	sizes                              []int
	pads, crops                        []string
	delay, ageing, margin              time.Duration

	httpAddress, addressFile     string
	grpcAddress, grpcAddressFile string
	tlsCert, tlsKey, tlsClientCA string
	tokenFile                    string
	maxBody                      int64
	drainDelay, drainTimeout     time.Duration
	reports, digests             bool
	otlp                         string
	faults                       []string
	seed                         uint64
}

const faultHelp = "for demonstrations only, repeatable: go wrong on purpose. What: error-rate=0.05 (share answered 500), " +
	"latency-factor=2 and latency-add=20ms (runs take longer), crash-after-requests=20, unready-after=30s. " +
	"When errors and latency begin: after=15s (from the start), after-requests=100"

// registerModel adds what says which model runs, and how.
func (f *flags) registerModel(s *pflag.FlagSet) {
	s.StringVar(&f.modelPath, "model-path", "", "the .onnx `file` to serve, or a folder of versions as 1/model.onnx")
	s.StringVar(&f.modelName, "model-name", "", "its `name` in /v2/models/NAME (required)")
	s.StringVar(&f.modelVersion, "model-version", "", "its `version` in /v2/models/NAME/versions/VERSION; "+
		"of a folder, the one to keep to (default 1; of a folder, the highest)")
	s.StringVar(&f.digest, "model-digest", "", "refuse a model whose file has another digest, as in `sha256:...`")
	s.DurationVar(&f.reload, "reload-interval", 10*time.Second, "how often a folder is looked at for a higher version; 0 never")
	s.Int64Var(&f.memory, "memory-limit", 0, "refuse a model whose file does not fit into so many `bytes` beside what is used "+
		"(default: the control group's limit)")
	s.StringVar(&f.library, "onnxruntime-library", os.Getenv("ONNXRUNTIME_LIBRARY"), "`path` of ONNX Runtime's shared library")
	s.StringVar(&f.provider, "provider", string(onnx.CPU), "what computes: `cpu`, cuda or tensorrt. Nothing falls back to the processor in silence")
	s.IntVar(&f.device, "device", 0, "`number` of the accelerator")
	s.IntVar(&f.threads, "threads", 1, "most `threads` one run may use")
	s.StringVar(&f.remote, "remote", "", "serve the model of another server: its `URL`, grpc://host:port, or http:// or https:// for REST")
	s.StringVar(&f.remoteModel, "remote-model", "", "`name` of the model there (default: --model-name)")
	s.StringVar(&f.remoteVersion, "remote-version", "", "`version` of the model there (default: that server's choice)")
	s.IntVar(&f.maxBatch, "max-batch", 8, "most `rows` in one run; fewer are used where more would not raise the rate")
	s.IntSliceVar(&f.sizes, "batch-sizes", nil, "`sizes` that the model is run with, ascending, the last --max-batch; "+
		"others are filled up (default: any)")
	s.IntVar(&f.devices, "devices", 1, "most `runs` that compute at the same time")
	s.IntVar(&f.slots, "slots", 0, "most `batches` in flight, those being prepared included (default: --devices and one more)")
	s.StringArrayVar(&f.pads, "pad", nil, "`input:dim=sizes`, as ids:1=32,64,128: pad that dimension to one of the sizes, "+
		"so that requests share batches; with :fill=1 after the sizes not by zeroes; repeatable")
	s.StringArrayVar(&f.crops, "crop", nil, "`output:dim=input:dim`, as logits:1=ids:1: "+
		"cut that dimension back to what the padded input had; repeatable")
}

// registerServer adds what says to whom it answers, and within which limits.
func (f *flags) registerServer(s *pflag.FlagSet) {
	s.StringVar(&f.httpAddress, "http-address", "127.0.0.1:8000", "`host:port` to listen on; port 0 takes a free one")
	s.StringVar(&f.addressFile, "address-file", "", "write the address to this `file` once the server listens")
	s.StringVar(&f.grpcAddress, "grpc-address", "", "`host:port` to serve gRPC on (default: none)")
	s.StringVar(&f.grpcAddressFile, "grpc-address-file", "", "write the gRPC address to this `file` once the server listens")
	s.IntVar(&f.capacity, "queue-capacity", 256, "most `rows` that may wait; beyond it requests are refused with 429")
	s.Int64Var(&f.maxBytes, "queue-bytes", 1<<30, "most `bytes` of inputs that may wait")
	s.DurationVar(&f.delay, "batch-delay", 0, "longest wait of a request on a free device for a fuller batch")
	s.DurationVar(&f.ageing, "priority-ageing", time.Second, "by how much a step of priority moves a request's deadline in the order")
	s.DurationVar(&f.margin, "deadline-margin", time.Millisecond, "kept free before every deadline, for the way back")
	s.Int64Var(&f.maxBody, "max-body", 64<<20, "most `bytes` in a request")
	s.DurationVar(&f.drainDelay, "drain-delay", time.Second, "on SIGTERM: accept requests for so long with readiness down")
	s.DurationVar(&f.drainTimeout, "drain-timeout", 20*time.Second, "on SIGTERM: then give requests in flight so long to finish")
	s.StringVar(&f.tlsCert, "tls-cert", "", "`file` with the certificate for both ports; read again when it changes")
	s.StringVar(&f.tlsKey, "tls-key", "", "`file` with its key")
	s.StringVar(&f.tlsClientCA, "tls-client-ca", "", "`file` with the authorities whose clients are served, and no others")
	s.StringVar(&f.tokenFile, "token-file", "", "`file` with the bearer tokens that callers may show, one a line; health needs none")
	s.BoolVar(&f.reports, "load-reports", true, "answers carry the server's load")
	s.BoolVar(&f.digests, "response-digest", false, "answers carry the digest of their outputs, in x-sluice-digest")
	s.StringVar(&f.otlp, "otlp-endpoint", "", "`host:port` to which spans of sampled requests go, by OTLP over gRPC without TLS")
	s.StringSliceVar(&f.faults, "inject-fault", nil, faultHelp)
	s.Uint64Var(&f.seed, "seed", 1, "`number` that decides which requests fail under --inject-fault")
}

// check reports every flag of the server that cannot be used.
func (f *flags) check() error {
	mistakes := []error{f.checkModel()}
	for _, positive := range []struct {
		flag  string
		value int64
	}{
		{"--queue-capacity", int64(f.capacity)},
		{"--queue-bytes", f.maxBytes},
		{"--max-body", f.maxBody},
		{"--drain-timeout", int64(f.drainTimeout)},
		{"--priority-ageing", int64(f.ageing)},
	} {
		if positive.value < 1 {
			mistakes = append(mistakes, fmt.Errorf("%s: positive, found %d", positive.flag, positive.value))
		}
	}
	if f.delay < 0 || f.drainDelay < 0 || f.margin < 0 {
		mistakes = append(mistakes, fmt.Errorf("--batch-delay, --drain-delay and --deadline-margin: not negative, found %v, %v and %v",
			f.delay, f.drainDelay, f.margin))
	}
	if (f.tlsCert == "") != (f.tlsKey == "") || f.tlsClientCA != "" && f.tlsCert == "" {
		mistakes = append(mistakes, errors.New("--tls-cert and --tls-key: both or neither, and both for --tls-client-ca"))
	}
	return errors.Join(mistakes...)
}

// checkModel reports every flag of the model that cannot be used.
func (f *flags) checkModel() error {
	var mistakes []error
	if f.modelName == "" {
		mistakes = append(mistakes, errors.New("--model-name: missing"))
	}
	if (f.modelPath == "") == (f.remote == "") {
		mistakes = append(mistakes, errors.New("--model-path and --remote: one of them"))
	}
	if f.modelPath != "" && f.library == "" {
		mistakes = append(mistakes, errors.New("--onnxruntime-library: missing, and $ONNXRUNTIME_LIBRARY is not set"))
	}
	if _, err := onnx.ParseProvider(f.provider); err != nil {
		mistakes = append(mistakes, fmt.Errorf("--%w", err))
	}
	for _, positive := range []struct {
		flag  string
		value int
	}{{"--max-batch", f.maxBatch}, {"--threads", f.threads}, {"--devices", f.devices}} {
		if positive.value < 1 {
			mistakes = append(mistakes, fmt.Errorf("%s: positive, found %d", positive.flag, positive.value))
		}
	}
	if f.slots < 0 || f.device < 0 || f.reload < 0 || f.memory < 0 {
		mistakes = append(mistakes, fmt.Errorf("--slots, --device, --reload-interval and --memory-limit: not negative, found %d, %d, %v and %d",
			f.slots, f.device, f.reload, f.memory))
	}
	return errors.Join(mistakes...)
}
