package server_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/oippb"
	"github.com/sluice-dev/sluice/serving/server"
)

// caller is a client of a server over gRPC, in memory, under the real clock.
type caller struct {
	oippb.GRPCInferenceServiceClient

	conn  *grpc.ClientConn
	model *fake.Model
	stop  context.CancelFunc
	ended chan error
}

func call(t *testing.T, cost fake.Config, change func(*server.Config)) *caller {
	t.Helper()
	model, err := fake.New(2, cost)
	require.NoError(t, err)
	listener := bufconn.Listen(1 << 20)
	c := server.Config{
		Model: "m", Version: "1", Backend: model, Listener: newQuiet(), GRPC: listener,
		MaxBatch: 4, Capacity: 8, DrainTimeout: time.Minute,
	}
	if change != nil {
		change(&c)
	}
	s, err := server.New(c)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	k := &caller{model: model, stop: stop, ended: make(chan error, 1)}
	go func() { k.ended <- s.Run(ctx); close(k.ended) }()
	k.conn, err = grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	k.GRPCInferenceServiceClient = oippb.NewGRPCInferenceServiceClient(k.conn)
	t.Cleanup(func() {
		assert.NoError(t, k.conn.Close())
		stop()
		await.Next(t, k.ended, "the end of the server")
	})
	k.warm(t)
	return k
}

// warm watches the server's health until it serves.
func (k *caller) warm(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	watch, err := healthpb.NewHealthClient(k.conn).Watch(ctx, &healthpb.HealthCheckRequest{Service: "m"})
	require.NoError(t, err)
	for {
		state, err := watch.Recv()
		require.NoError(t, err)
		if state.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return
		}
	}
}

func rawRow(a, b int32) *oippb.ModelInferRequest {
	data := binary.LittleEndian.AppendUint32(nil, uint32(a))
	r := typedRow(0, 0)
	r.Inputs[0].Contents = nil
	r.RawInputContents = [][]byte{binary.LittleEndian.AppendUint32(data, uint32(b))}
	return r
}

func typedRow(a, b int32) *oippb.ModelInferRequest {
	return &oippb.ModelInferRequest{ModelName: "m", Id: "x", Inputs: []*oippb.ModelInferRequest_InferInputTensor{{
		Name: "in", Datatype: "INT32", Shape: []int64{1, 2}, Contents: &oippb.InferTensorContents{IntContents: []int32{a, b}},
	}}}
}

func TestInferringOverGRPC(t *testing.T) {
	k := call(t, fake.Config{}, nil)
	t.Run("an answer has the form of its request", func(t *testing.T) {
		r, err := k.ModelInfer(t.Context(), rawRow(1, -2))
		require.NoError(t, err)
		want := &oippb.ModelInferResponse{
			ModelName: "m", ModelVersion: "1", Id: "x", RawOutputContents: rawRow(1, -2).GetRawInputContents(),
			Outputs: []*oippb.ModelInferResponse_InferOutputTensor{{Name: "out", Datatype: "INT32", Shape: []int64{1, 2}}},
		}
		assert.True(t, proto.Equal(want, r), r)

		r, err = k.ModelInfer(t.Context(), typedRow(1, -2))
		require.NoError(t, err)
		want.RawOutputContents = nil
		want.Outputs[0].Contents = &oippb.InferTensorContents{IntContents: []int32{1, -2}}
		assert.True(t, proto.Equal(want, r), r)
	})
	t.Run("the form can be asked for", func(t *testing.T) {
		m := rawRow(3, 4)
		m.Parameters = map[string]*oippb.InferParameter{
			"binary_data_output": {ParameterChoice: &oippb.InferParameter_BoolParam{BoolParam: false}},
			"priority":           {ParameterChoice: &oippb.InferParameter_Uint64Param{Uint64Param: 1}},
			"timeout":            {ParameterChoice: &oippb.InferParameter_Int64Param{Int64Param: 60_000_000}},
		}
		r, err := k.ModelInfer(t.Context(), m)
		require.NoError(t, err)
		assert.Equal(t, []int32{3, 4}, r.GetOutputs()[0].GetContents().GetIntContents())
	})
	t.Run("metadata says what there is", func(t *testing.T) {
		m, err := k.ModelMetadata(t.Context(), &oippb.ModelMetadataRequest{Name: "m", Version: "1"})
		require.NoError(t, err)
		assert.Equal(t, []int64{-1, 2}, m.GetInputs()[0].GetShape())
		s, err := k.ServerMetadata(t.Context(), &oippb.ServerMetadataRequest{})
		require.NoError(t, err)
		assert.Equal(t, "sluice-serve", s.GetName())
		live, err := k.ServerLive(t.Context(), &oippb.ServerLiveRequest{})
		require.NoError(t, err)
		assert.True(t, live.GetLive())
		ready, err := k.ServerReady(t.Context(), &oippb.ServerReadyRequest{})
		require.NoError(t, err)
		assert.True(t, ready.GetReady())
		model, err := k.ModelReady(t.Context(), &oippb.ModelReadyRequest{Name: "m"})
		require.NoError(t, err)
		assert.True(t, model.GetReady())
	})
}

func TestRefusalsOverGRPC(t *testing.T) {
	k := call(t, fake.Config{}, nil)
	tests := []struct {
		name   string
		change func(*oippb.ModelInferRequest)
		code   codes.Code
		want   string
	}{
		{"another model", func(r *oippb.ModelInferRequest) { r.ModelName = "x" }, codes.NotFound, `model "x": not found, this server has "m"`},
		{"another version", func(r *oippb.ModelInferRequest) { r.ModelVersion = "2" }, codes.NotFound, `model "m": version "2" not found, this server has "1"`},
		{"another datatype", func(r *oippb.ModelInferRequest) {
			r.Inputs[0].Datatype, r.Inputs[0].Contents = "FP32", &oippb.InferTensorContents{Fp32Contents: []float32{1, 2}}
		}, codes.InvalidArgument, `input "in": datatype is INT32, found FP32`},
		{"no datatype", func(r *oippb.ModelInferRequest) { r.Inputs[0].Datatype = "X" }, codes.InvalidArgument, `input "in": datatype: not one of the protocol's, found "X"`},
		{"another shape", func(r *oippb.ModelInferRequest) { r.Inputs[0].Shape = []int64{2, 1} }, codes.InvalidArgument, `input "in": shape is [-1,2], found [2,1]`},
		{"too few elements", func(r *oippb.ModelInferRequest) { r.Inputs[0].Contents.IntContents = []int32{1} }, codes.InvalidArgument, `input "in": 2 elements of INT32 are 8 bytes, found 4`},
		{"raw and typed", func(r *oippb.ModelInferRequest) { r.RawInputContents = [][]byte{{1}} }, codes.InvalidArgument, `input "in": contents: given beside raw_input_contents`},
		{"too many raw", func(r *oippb.ModelInferRequest) { r.RawInputContents = [][]byte{{1}, {2}} }, codes.InvalidArgument, `raw_input_contents: one for each of the 1 inputs, found 2`},
		{"an unknown parameter", func(r *oippb.ModelInferRequest) {
			r.Parameters = map[string]*oippb.InferParameter{"sequence_id": {ParameterChoice: &oippb.InferParameter_Int64Param{Int64Param: 7}}}
		}, codes.InvalidArgument, `parameters.sequence_id: not supported`},
		{"an unknown priority", func(r *oippb.ModelInferRequest) {
			r.Parameters = map[string]*oippb.InferParameter{"priority": {ParameterChoice: &oippb.InferParameter_Int64Param{Int64Param: 9}}}
		}, codes.InvalidArgument, `parameters.priority: a level from 1 (urgent) to 3 (patient), found 9`},
		{"a length that is another", func(r *oippb.ModelInferRequest) {
			r.Inputs[0].Contents, r.RawInputContents = nil, [][]byte{make([]byte, 8)}
			r.Inputs[0].Parameters = map[string]*oippb.InferParameter{"binary_data_size": {ParameterChoice: &oippb.InferParameter_Int64Param{Int64Param: 7}}}
		}, codes.InvalidArgument, `input "in": parameters.binary_data_size: not the length of its raw_input_contents`},
		{"an unknown output", func(r *oippb.ModelInferRequest) {
			r.Outputs = []*oippb.ModelInferRequest_InferRequestedOutputTensor{{Name: "no"}}
		}, codes.InvalidArgument, `output "no": the model has no such output`},
		{"a batch that is too large", func(r *oippb.ModelInferRequest) {
			r.Inputs[0].Shape, r.Inputs[0].Contents.IntContents = []int64{5, 2}, make([]int32, 10)
		}, codes.InvalidArgument, `batch: between 1 and 4 items, found 5`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := typedRow(1, 2)
			test.change(r)
			_, err := k.ModelInfer(t.Context(), r)
			assert.Equal(t, test.code, status.Code(err), err)
			assert.Contains(t, status.Convert(err).Message(), test.want)
		})
	}
}

// blocked keeps the device busy until the test lets it go.
type blocked struct {
	entered, release chan struct{}
	let              func()
}

func newBlocked() *blocked {
	b := &blocked{entered: make(chan struct{}, 100), release: make(chan struct{})}
	b.let = sync.OnceFunc(func() { close(b.release) })
	return b
}

// hold sends the request that keeps the device busy, and gives what will become of it.
func (b *blocked) hold(t *testing.T, k *caller) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
		defer cancel()
		_, err := k.ModelInfer(ctx, rawRow(99, 0))
		done <- err
	}()
	select {
	case <-b.entered:
	case err := <-done:
		require.FailNow(t, "the request was not run", err)
	}
	return done
}

func (b *blocked) before(in []serving.Tensor) error {
	if binary.LittleEndian.Uint32(in[0].Data) == 99 {
		b.entered <- struct{}{}
		<-b.release
	}
	return nil
}

func TestOverloadOverGRPC(t *testing.T) {
	b := newBlocked()
	k := call(t, fake.Config{Fixed: 5 * ms, Before: b.before}, func(c *server.Config) { c.Slots, c.LoadReports, c.Digests = 1, true, true })
	defer b.let()
	done := b.hold(t, k)

	t.Run("a deadline out of reach is refused, whoever sets it", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*ms)
		defer cancel()
		_, err := k.ModelInfer(ctx, rawRow(1, 1))
		assert.Contains(t, []codes.Code{codes.ResourceExhausted, codes.DeadlineExceeded}, status.Code(err), "the caller's own clock may be first")

		ctx = metadata.AppendToOutgoingContext(t.Context(), "x-envoy-expected-rq-timeout-ms", "3")
		_, err = k.ModelInfer(ctx, rawRow(1, 1))
		assert.Equal(t, codes.ResourceExhausted, status.Code(err), err)
		assert.Contains(t, err.Error(), "deadline cannot be met")

		m := rawRow(1, 1)
		m.Parameters = map[string]*oippb.InferParameter{"timeout": {ParameterChoice: &oippb.InferParameter_Int64Param{Int64Param: 3000}}}
		_, err = k.ModelInfer(t.Context(), m)
		assert.Equal(t, codes.ResourceExhausted, status.Code(err), err)
	})
	t.Run("a caller who leaves is told so", func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		leave()
		_, err := k.ModelInfer(ctx, rawRow(1, 1))
		assert.Equal(t, codes.Canceled, status.Code(err))
	})
	b.let()
	require.NoError(t, await.Next(t, done, "the answer"))

	t.Run("answers carry the load and their digest", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
		defer cancel()
		var trailer metadata.MD
		for len(trailer.Get("endpoint-load-metrics-bin")) == 0 { // a report is made a moment after the first answer
			_, err := k.ModelInfer(ctx, rawRow(1, 1), grpc.Trailer(&trailer))
			require.NoError(t, err)
		}
		first := trailer.Get("x-sluice-digest")
		require.Len(t, first, 1)
		_, err := k.ModelInfer(t.Context(), typedRow(1, 1), grpc.Trailer(&trailer))
		require.NoError(t, err)
		assert.Equal(t, first, trailer.Get("x-sluice-digest"), "whatever the form")
		_, err = k.ModelInfer(t.Context(), typedRow(1, 2), grpc.Trailer(&trailer))
		require.NoError(t, err)
		assert.NotEqual(t, first, trailer.Get("x-sluice-digest"))
	})
}

func TestStreamedInference(t *testing.T) {
	k := call(t, fake.Config{}, nil)
	stream, err := k.ModelStreamInfer(t.Context())
	require.NoError(t, err)
	for i := range int32(8) {
		m := rawRow(i, -i)
		if i == 4 {
			m.ModelName = "x"
		}
		require.NoError(t, stream.Send(m))
	}
	require.NoError(t, stream.CloseSend())
	for i := range int32(8) {
		r, err := stream.Recv()
		require.NoError(t, err)
		if i == 4 {
			assert.Contains(t, r.GetErrorMessage(), `model "x": not found`)
			continue
		}
		assert.Empty(t, r.GetErrorMessage())
		assert.Equal(t, rawRow(i, -i).GetRawInputContents(), r.GetInferResponse().GetRawOutputContents(), "in the order of the requests")
	}
	_, err = stream.Recv()
	assert.ErrorIs(t, err, io.EOF)
}

func TestDrainingOverGRPC(t *testing.T) {
	b := newBlocked()
	k := call(t, fake.Config{Before: b.before}, nil)
	idle, err := k.ModelStreamInfer(t.Context())
	require.NoError(t, err)
	require.NoError(t, idle.Send(rawRow(1, 1)))
	_, err = idle.Recv()
	require.NoError(t, err)
	watch, err := healthpb.NewHealthClient(k.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = watch.Recv()
	require.NoError(t, err)

	defer b.let()
	done := b.hold(t, k)
	k.stop()
	if state, err := watch.Recv(); err == nil { // or the watch ended first
		assert.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, state.GetStatus())
		_, err = watch.Recv()
		assert.Error(t, err, "the watch ends")
	}
	_, err = idle.Recv()
	assert.Equal(t, codes.Unavailable, status.Code(err), err)
	b.let()
	assert.NoError(t, await.Next(t, done, "the answer"), "what was under way is answered")
	assert.NoError(t, await.Next(t, k.ended, "the end of the drain"), "streams do not hold the drain up")
}

func TestTokens(t *testing.T) {
	k := call(t, fake.Config{}, func(c *server.Config) { c.Tokens = server.NewTokens("secret", "other") })
	_, err := k.ModelInfer(t.Context(), rawRow(1, 1))
	assert.Equal(t, codes.Unauthenticated, status.Code(err))
	for token, want := range map[string]codes.Code{
		"Bearer secret": codes.OK, "bearer other": codes.OK, "Bearer secre": codes.Unauthenticated, "Basic secret": codes.Unauthenticated,
	} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", token)
		_, err := k.ModelInfer(ctx, rawRow(1, 1))
		assert.Equal(t, want, status.Code(err), token)
	}
	_, err = k.ServerReady(t.Context(), &oippb.ServerReadyRequest{})
	assert.NoError(t, err, "health needs no token")
	_, err = k.ModelMetadata(t.Context(), &oippb.ModelMetadataRequest{Name: "m"})
	assert.Equal(t, codes.Unauthenticated, status.Code(err))
}
