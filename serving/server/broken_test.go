package server_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/backend/fake"
	"github.com/sluice-dev/sluice/serving/oippb"
	"github.com/sluice-dev/sluice/serving/server"
)

// liar gives strings that are shorter than their length says, once it is asked to.
type liar struct{ lies *atomic.Bool }

func (liar) Signature() serving.Signature {
	return serving.Signature{
		Inputs:  []serving.Spec{{Name: "in", Datatype: serving.Int32, Shape: serving.Shape{-1, 2}}},
		Outputs: []serving.Spec{{Name: "out", Datatype: serving.Bytes, Shape: serving.Shape{-1}}},
	}
}

func (l liar) Run(_ context.Context, _ int, inputs []serving.Tensor) ([]serving.Tensor, error) {
	var data []byte
	for range inputs[0].Shape[0] {
		data = serving.AppendBytes(data, []byte("cat"))
	}
	if l.lies.Load() {
		data[0] = 100
	}
	return []serving.Tensor{{Name: "out", Datatype: serving.Bytes, Shape: serving.Shape{inputs[0].Shape[0]}, Data: data}}, nil
}

func TestAModelThatLiesOfItsBytesFailsOneCall(t *testing.T) {
	var lies atomic.Bool
	k := call(t, fake.Config{}, func(c *server.Config) { c.Backend = liar{&lies} })
	lies.Store(true)
	_, err := k.ModelInfer(t.Context(), typedRow(1, 2))
	assert.Equal(t, codes.Internal, status.Code(err))
	assert.ErrorContains(t, err, `output "out": element 0 of BYTES is 100 bytes long, found 3`)

	lies.Store(false)
	r, err := k.ModelInfer(t.Context(), typedRow(1, 2))
	require.NoError(t, err)
	assert.Equal(t, [][]byte{[]byte("cat")}, r.GetOutputs()[0].GetContents().GetBytesContents())
}

func TestAPanicInAHandlerFailsOneCall(t *testing.T) {
	panics := func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) { panic("broken") }
	k := call(t, fake.Config{}, func(c *server.Config) { c.Intercept = panics })
	for range 2 {
		_, err := k.ModelInfer(t.Context(), typedRow(1, 2))
		assert.Equal(t, codes.Internal, status.Code(err))
		assert.ErrorContains(t, err, "handler panicked: broken")
	}
}

// slowStart serves over HTTP and gRPC on real and in-memory listeners, and does not
// wait for the warm-up.
func slowStart(t *testing.T, cost fake.Config, drain time.Duration) (rest net.Listener, conn *grpc.ClientConn, stop context.CancelFunc, ended chan error) {
	t.Helper()
	model, err := fake.New(2, cost)
	require.NoError(t, err)
	rest, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listener := bufconn.Listen(1 << 20)
	s, err := server.New(server.Config{
		Model: "m", Version: "1", Backend: model, Listener: rest, GRPC: listener, MaxBatch: 4, Capacity: 8, DrainTimeout: drain,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	ended = make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	conn, err = grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return rest, conn, stop, ended
}

func TestAWatchOfLoadDoesNotHoldUpAnExitDuringTheWarmUp(t *testing.T) {
	running, goOn := make(chan struct{}), make(chan struct{})
	before := func([]serving.Tensor) error {
		close(running)
		<-goOn
		return errors.New("stopped")
	}
	_, conn, stop, ended := slowStart(t, fake.Config{Before: before}, 100*time.Millisecond)
	await.Next(t, running, "the warm-up")
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics")
	require.NoError(t, err)
	require.NoError(t, stream.SendMsg(&emptypb.Empty{}))
	require.NoError(t, stream.CloseSend())
	_, err = oippb.NewGRPCInferenceServiceClient(conn).ServerLive(t.Context(), &oippb.ServerLiveRequest{})
	require.NoError(t, err, "the stream came first, on the same connection")
	stop()
	assert.ErrorContains(t, await.Next(t, ended, "the end of the server"), "drain: requests in flight did not finish")
	close(goOn)
	assert.Error(t, stream.RecvMsg(&emptypb.Empty{}))
}

func TestBothPortsCloseTogether(t *testing.T) {
	listener, conn, stop, ended := slowStart(t, fake.Config{}, time.Minute)
	client := oippb.NewGRPCInferenceServiceClient(conn)
	require.Eventually(t, func() bool {
		r, err := client.ServerReady(t.Context(), &oippb.ServerReadyRequest{})
		return err == nil && r.GetReady()
	}, await.Patience, time.Millisecond)
	slow, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer slow.Close()
	_, err = slow.Write([]byte("POST /v2/models/m/infer HTTP/1.1\r\nHost: m\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"))
	require.NoError(t, err)
	_, err = slow.Read(make([]byte, 10))
	require.NoError(t, err, "the body is asked for")
	stop()
	require.Eventually(t, func() bool {
		_, err := client.ServerLive(t.Context(), &oippb.ServerLiveRequest{})
		return err != nil
	}, await.Patience, time.Millisecond, "gRPC closes")
	_, err = slow.Write(make([]byte, 100))
	require.NoError(t, err)
	assert.NoError(t, await.Next(t, ended, "the end of the server"), "the slow request was finished, too")
}
