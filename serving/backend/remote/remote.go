// Package remote runs a model that another server serves: Triton, KServe or any
// that speaks the Open Inference Protocol v2, over gRPC or REST. Its batching is
// best left off, for batches come formed. It decides nothing and keeps no queue.
//
// Start reading at Open and Model.Run.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/sluice-dev/sluice/serving"
)

// Config says where the model is.
type Config struct {
	// URL is grpc://host:port or grpcs://host:port, or the http:// or https://
	// address before /v2.
	URL     string
	Model   string // its name there
	Version string // its version there. Default: that server's choice
	// Timeout is the longest a run may take. Default 30 s.
	Timeout time.Duration
}

// transport is one way to ask the server.
type transport interface {
	// describe gives the model's signature once the model is ready.
	describe(ctx context.Context) (serving.Signature, error)
	infer(ctx context.Context, inputs []serving.Tensor) ([]serving.Tensor, error)
	Close() error
}

// Model is another server's model.
type Model struct {
	transport transport
	signature serving.Signature
	timeout   time.Duration
}

// Open asks the server what its model takes and gives. The error says what is
// wrong with the address, the server or the model.
func Open(ctx context.Context, c Config) (*Model, error) {
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Model == "" {
		return nil, errors.New("remote model: name: missing")
	}
	t, err := connect(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	signature, err := t.describe(ctx)
	if err == nil {
		err = known(signature)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("remote %s: model %q: %w", c.URL, c.Model, err), t.Close())
	}
	return &Model{transport: t, signature: signature, timeout: c.Timeout}, nil
}

func connect(c Config) (transport, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("remote: a URL as grpc://host:8001 or http://host:8000, found %q", c.URL)
	}
	switch u.Scheme {
	case "grpc", "grpcs":
		return dial(u, c)
	case "http", "https":
		return newREST(u, c), nil
	}
	return nil, fmt.Errorf("remote: scheme is one of grpc, grpcs, http, https, found %q", u.Scheme)
}

// known refuses a signature that cannot be served.
func known(s serving.Signature) error {
	if len(s.Inputs) == 0 || len(s.Outputs) == 0 {
		return errors.New("metadata names no inputs or no outputs")
	}
	var mistakes []error
	for _, list := range [][]serving.Spec{s.Inputs, s.Outputs} {
		for _, spec := range list {
			if !spec.Datatype.Known() {
				mistakes = append(mistakes, fmt.Errorf("tensor %q: datatype: not one of the protocol's, found %q", spec.Name, spec.Datatype))
			}
		}
	}
	return errors.Join(mistakes...)
}

// Signature is what the server said of its model when it was opened.
func (m *Model) Signature() serving.Signature { return m.signature }

// Run asks the server, which is told ctx's deadline. An error is a
// serving.ErrUnavailable where nobody answers. Where ctx carries a trace, the server is told.
func (m *Model) Run(ctx context.Context, _ int, inputs []serving.Tensor) ([]serving.Tensor, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	answered, err := m.transport.infer(ctx, inputs)
	if err != nil {
		return nil, err
	}
	outputs := make([]serving.Tensor, len(m.signature.Outputs))
	for i, spec := range m.signature.Outputs {
		found := false
		for _, t := range answered {
			if t.Name == spec.Name {
				outputs[i], found = t, true
			}
		}
		if !found {
			return nil, fmt.Errorf("output %q: missing in the answer", spec.Name)
		}
		if outputs[i].Datatype != spec.Datatype {
			return nil, fmt.Errorf("output %q: datatype is %s, found %s", spec.Name, spec.Datatype, outputs[i].Datatype)
		}
	}
	return outputs, nil
}

// Probe asks whether the server answers and has the model ready.
func (m *Model) Probe(ctx context.Context) error {
	_, err := m.transport.describe(ctx)
	return err
}

// Close lets go of the connections. No run may be under way.
func (m *Model) Close() error { return m.transport.Close() }
