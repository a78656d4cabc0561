package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/oippb"
)

// overGRPC is the protocol's gRPC half.
type overGRPC struct {
	conn           *grpc.ClientConn
	client         oippb.GRPCInferenceServiceClient
	model, version string
}

// mostBytes is how long a message may be: as long as protobuf allows.
const mostBytes = 1<<31 - 1

func dial(u *url.URL, c Config) (transport, error) {
	secure := insecure.NewCredentials()
	if u.Scheme == "grpcs" {
		secure = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})
	}
	conn, err := grpc.NewClient("dns:///"+u.Host, grpc.WithTransportCredentials(secure),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(mostBytes), grpc.MaxCallSendMsgSize(mostBytes)))
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	return &overGRPC{conn: conn, client: oippb.NewGRPCInferenceServiceClient(conn), model: c.Model, version: c.Version}, nil
}

func (g *overGRPC) Close() error { return g.conn.Close() }

func (g *overGRPC) describe(ctx context.Context) (serving.Signature, error) {
	// a server that is just starting is waited for; a batch is not to hold a device meanwhile
	m, err := g.client.ModelMetadata(ctx, &oippb.ModelMetadataRequest{Name: g.model, Version: g.version}, grpc.WaitForReady(true))
	if err != nil {
		return serving.Signature{}, told(err)
	}
	ready, err := g.client.ModelReady(ctx, &oippb.ModelReadyRequest{Name: g.model, Version: g.version})
	if err == nil && !ready.GetReady() {
		err = errors.New("not ready")
	}
	if err != nil {
		return serving.Signature{}, told(err)
	}
	return serving.Signature{Inputs: specsOf(m.GetInputs()), Outputs: specsOf(m.GetOutputs())}, nil
}

// told is what a server said, without gRPC's frame.
func told(err error) error {
	s, ok := status.FromError(err)
	switch {
	case ok && s.Code() == codes.Unavailable:
		return fmt.Errorf("%w: %s", serving.ErrUnavailable, s.Message())
	case ok && s.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("%w: %s", context.DeadlineExceeded, s.Message())
	case ok:
		return fmt.Errorf("%s: %s", s.Code(), s.Message())
	}
	return err
}

func specsOf(list []*oippb.ModelMetadataResponse_TensorMetadata) []serving.Spec {
	specs := make([]serving.Spec, len(list))
	for i, t := range list {
		specs[i] = serving.Spec{Name: t.GetName(), Datatype: serving.Datatype(t.GetDatatype()), Shape: t.GetShape()}
	}
	return specs
}

func (g *overGRPC) infer(ctx context.Context, inputs []serving.Tensor) ([]serving.Tensor, error) {
	r := &oippb.ModelInferRequest{ModelName: g.model, ModelVersion: g.version}
	for _, t := range inputs {
		r.Inputs = append(r.Inputs, &oippb.ModelInferRequest_InferInputTensor{Name: t.Name, Datatype: string(t.Datatype), Shape: t.Shape})
		r.RawInputContents = append(r.RawInputContents, t.Data)
	}
	m, err := g.client.ModelInfer(withTrace(ctx), r)
	if err != nil {
		return nil, told(err)
	}
	return outputsOf(m)
}

func withTrace(ctx context.Context) context.Context {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return metadata.NewOutgoingContext(ctx, metadata.New(carrier))
}

func outputsOf(m *oippb.ModelInferResponse) ([]serving.Tensor, error) {
	raw := m.GetRawOutputContents()
	if len(raw) > 0 && len(raw) != len(m.GetOutputs()) {
		return nil, fmt.Errorf("raw_output_contents: one for each of the %d outputs, found %d", len(m.GetOutputs()), len(raw))
	}
	tensors := make([]serving.Tensor, len(m.GetOutputs()))
	for i, o := range m.GetOutputs() {
		t := serving.Tensor{Name: o.GetName(), Datatype: serving.Datatype(o.GetDatatype()), Shape: o.GetShape()}
		var err error
		if len(raw) > 0 {
			t.Data = raw[i]
		} else if t.Data, err = oippb.Pack(t.Datatype, o.GetContents()); err != nil {
			return nil, fmt.Errorf("output %q: %w", t.Name, err)
		}
		tensors[i] = t
	}
	return tensors, nil
}
