package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/sluice-dev/sluice/serving"
	"github.com/sluice-dev/sluice/serving/oippb"
	"github.com/sluice-dev/sluice/serving/server/orca"
)

// The methods of the protocol that infer. A call of the first is refused before
// its message is read; a stream's requests are refused one by one.
const (
	inferMethod  = "/inference.GRPCInferenceService/ModelInfer"
	streamMethod = "/inference.GRPCInferenceService/ModelStreamInfer"
)

// grpcFront answers the protocol over gRPC, with health and load reports beside it.
type grpcFront struct {
	oippb.UnimplementedGRPCInferenceServiceServer

	server *Server
	front  *grpc.Server
	health *health.Server
	ending context.Context //nolint:containedctx // of the front's streams, which outlive any call that could pass one
	end    context.CancelFunc
}

// newGRPC makes the gRPC front. Run serves it where the config has a listener.
func (s *Server) newGRPC() *grpcFront {
	f := &grpcFront{server: s, health: health.NewServer()}
	f.ending, f.end = context.WithCancel(context.Background())
	options := []grpc.ServerOption{
		grpc.InTapHandle(f.tap), grpc.ChainStreamInterceptor(f.recovered, f.mortal), grpc.ChainUnaryInterceptor(f.recoveredCall),
		grpc.MaxRecvMsgSize(int(s.config.MaxBody)), grpc.MaxSendMsgSize(1 << 30),
		grpc.MaxHeaderListSize(64 << 10),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if s.config.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.config.TLS)))
	}
	if s.config.Intercept != nil {
		options = append(options, grpc.ChainUnaryInterceptor(s.config.Intercept))
	}
	f.front = grpc.NewServer(options...)
	oippb.RegisterGRPCInferenceServiceServer(f.front, f)
	healthpb.RegisterHealthServer(f.front, f.health)
	orca.NewService(s.engine.loadReport).Register(f.front)
	f.show(healthpb.HealthCheckResponse_NOT_SERVING)
	return f
}

// show sets what the health service says of the server, the protocol and the model.
func (f *grpcFront) show(status healthpb.HealthCheckResponse_ServingStatus) {
	for _, service := range []string{"", "inference.GRPCInferenceService", f.server.config.Model} {
		f.health.SetServingStatus(service, status)
	}
}

// tap sees a call's headers before its message is read.
func (f *grpcFront) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !open(info.FullMethodName) && !f.server.config.Tokens.allow(first(info.Header, "authorization")) {
		return ctx, status.Error(codes.Unauthenticated, errUnauthorized().text)
	}
	if info.FullMethodName != inferMethod {
		return ctx, nil
	}
	now := time.Now()
	a, err := f.asked(ctx, now, info.Header)
	if err == nil {
		err = f.server.admissible(a)
	}
	if err != nil {
		return ctx, f.status(err)
	}
	return context.WithValue(ctx, tapped{}, now), nil
}

// tapped is the key of the instant at which a call's headers were read.
type tapped struct{}

// caught turns a panic into the call's error, as package http does for its
// handlers: it is not the process's end.
func (f *grpcFront) caught(method string, err *error) {
	if p := recover(); p != nil {
		f.server.config.Logger.Error("handler panicked", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		*err = status.Errorf(codes.Internal, "handler panicked: %v", p)
	}
}

func (f *grpcFront) recoveredCall(ctx context.Context, r any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (_ any, err error) {
	defer f.caught(info.FullMethod, &err)
	return next(ctx, r)
}

func (f *grpcFront) recovered(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer f.caught(info.FullMethod, &err)
	return next(srv, stream)
}

// mortal ends streams with the front: watches of health and load never end by
// themselves. Requests under way in a stream of inferences are finished.
func (f *grpcFront) mortal(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if info.FullMethod == streamMethod {
		return next(srv, stream)
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(f.ending, cancel)()
	return next(srv, endingStream{stream, ctx})
}

type endingStream struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // it is the stream's
}

func (s endingStream) Context() context.Context { return s.ctx }

// open says whether a method answers without a token.
func open(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.v1.Health/") ||
		strings.HasSuffix(method, "/ServerLive") || strings.HasSuffix(method, "/ServerReady")
}

func first(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// asked reads what a call's headers ask for: grpc-timeout is in the context.
func (*grpcFront) asked(ctx context.Context, now time.Time, md metadata.MD) (asked, error) {
	timeout, err := timeoutOf(first(md, strings.ToLower(envoyTimeout)))
	priority, unclear := priorityOf(first(md, strings.ToLower(priorityHeader)))
	deadline, _ := ctx.Deadline()
	a := asked{deadline: sooner(deadline, now, timeout), priority: priority}
	if first(md, "traceparent") != "" {
		a.trace = traceOf(propagation.HeaderCarrier(http.Header{ //nolint:contextcheck // as in infer
			"Traceparent": md.Get("traceparent"), "Tracestate": md.Get("tracestate"),
		}))
	}
	return a, errors.Join(err, unclear)
}

// status turns an error into gRPC's.
func (*grpcFront) status(err error) error {
	e := statusOf(err)
	return status.Error(codeOf(e.status, err), e.text)
}

func codeOf(httpStatus int, err error) codes.Code {
	switch httpStatus {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusTooManyRequests, http.StatusRequestEntityTooLarge:
		return codes.ResourceExhausted
	case http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	case http.StatusServiceUnavailable:
		switch {
		case errors.Is(err, serving.ErrUnavailable):
			return codes.Unavailable
		case errors.Is(err, context.Canceled):
			return codes.Canceled
		case errors.Is(err, context.DeadlineExceeded):
			return codes.DeadlineExceeded
		}
		return codes.Unavailable
	}
	return codes.Internal
}

// ServerLive is true while anything answers.
func (*grpcFront) ServerLive(context.Context, *oippb.ServerLiveRequest) (*oippb.ServerLiveResponse, error) {
	return &oippb.ServerLiveResponse{Live: true}, nil
}

// ServerReady is true between warm-up and drain.
func (f *grpcFront) ServerReady(context.Context, *oippb.ServerReadyRequest) (*oippb.ServerReadyResponse, error) {
	return &oippb.ServerReadyResponse{Ready: f.server.unready() == nil}, nil
}

// ModelReady is the same, for the model that is served.
func (f *grpcFront) ModelReady(_ context.Context, r *oippb.ModelReadyRequest) (*oippb.ModelReadyResponse, error) {
	if err := f.server.find(r.GetName(), r.GetVersion()); err != nil {
		return nil, f.status(err)
	}
	return &oippb.ModelReadyResponse{Ready: f.server.unready() == nil}, nil
}

// ServerMetadata names the server.
func (*grpcFront) ServerMetadata(context.Context, *oippb.ServerMetadataRequest) (*oippb.ServerMetadataResponse, error) {
	return &oippb.ServerMetadataResponse{Name: serverName, Version: buildVersion(), Extensions: extensions()}, nil
}

// ModelMetadata describes the model.
func (f *grpcFront) ModelMetadata(_ context.Context, r *oippb.ModelMetadataRequest) (*oippb.ModelMetadataResponse, error) {
	if err := f.server.find(r.GetName(), r.GetVersion()); err != nil {
		return nil, f.status(err)
	}
	g := f.server.engine.backend.Load()
	return &oippb.ModelMetadataResponse{
		Name: f.server.config.Model, Versions: []string{g.version}, Platform: f.server.config.Platform,
		Inputs: specMessages(g.signature.Inputs), Outputs: specMessages(g.signature.Outputs),
		Properties: f.server.parameters(g),
	}, nil
}

// ModelInfer answers one inference request.
func (f *grpcFront) ModelInfer(ctx context.Context, r *oippb.ModelInferRequest) (*oippb.ModelInferResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	response, digest, err := f.infer(ctx, md, r)
	f.trail(ctx, digest)
	if err != nil {
		return nil, f.status(err)
	}
	return response, nil
}

// trail sends what goes with a response.
func (f *grpcFront) trail(ctx context.Context, digest string) {
	trailer := metadata.MD{}
	if r := f.server.engine.report.Load(); f.server.config.LoadReports && r != nil {
		trailer[orca.Trailer] = []string{r.binary}
	}
	if digest != "" {
		trailer[strings.ToLower(digestHeader)] = []string{digest}
	}
	_ = grpc.SetTrailer(ctx, trailer) // only without a stream
}

// infer answers a request and gives the answer's digest, if those are wanted.
func (f *grpcFront) infer(ctx context.Context, md metadata.MD, m *oippb.ModelInferRequest) (*oippb.ModelInferResponse, string, error) {
	arrived, ok := ctx.Value(tapped{}).(time.Time)
	if !ok { // of a stream
		arrived = time.Now()
	}
	a, err := f.asked(ctx, arrived, md)
	if err != nil {
		return nil, "", err
	}
	if err := f.server.find(m.GetModelName(), m.GetModelVersion()); err != nil {
		return nil, "", err
	}
	if !f.server.ready.Load() {
		return nil, "", f.server.unready()
	}
	r, err := decodeMessage(m)
	if err != nil {
		return nil, "", err
	}
	out, err := f.server.answer(ctx, arrived, r, a)
	if err != nil {
		return nil, "", err
	}
	sum := ""
	if f.server.config.Digests {
		sum = digest(out.outputs)
	}
	response, err := encodeMessage(f.server.config.Model, out.version, r, out.outputs)
	f.server.engine.metrics().left(arrived, out)
	return response, sum, err
}

// streamWindow is how many requests of one stream may be under way.
const streamWindow = 64

// streamed is an answer on its way into a stream.
type streamed chan *oippb.ModelStreamInferResponse

// ModelStreamInfer answers requests in the order in which they came. They run
// together all the same.
func (f *grpcFront) ModelStreamInfer(stream oippb.GRPCInferenceService_ModelStreamInferServer) error {
	ctx := stream.Context()
	md, _ := metadata.FromIncomingContext(ctx)
	requests, answers := make(chan received), make(chan streamed, streamWindow)
	sent := make(chan error, 1)
	go func() { sent <- send(stream, answers) }()
	go receive(stream, requests)
	err := f.pump(ctx, md, requests, answers)
	close(answers)
	return errors.Join(err, <-sent)
}

// received is a message of a stream, or why none comes any more.
type received struct {
	message *oippb.ModelInferRequest
	err     error
}

// receive reads until the stream ends, which it does when its handler returns.
func receive(stream oippb.GRPCInferenceService_ModelStreamInferServer, requests chan<- received) {
	for {
		m, err := stream.Recv()
		select {
		case requests <- received{m, err}:
		case <-stream.Context().Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// pump starts each request as it comes and queues its answer.
func (f *grpcFront) pump(ctx context.Context, md metadata.MD, requests <-chan received, answers chan<- streamed) error {
	for {
		var r received
		select {
		case r = <-requests:
		case <-ctx.Done():
			return ctx.Err()
		case <-f.ending.Done():
			return status.Error(codes.Unavailable, errStopping.Error())
		}
		switch {
		case errors.Is(r.err, io.EOF):
			return nil
		case r.err != nil:
			return r.err
		}
		answer := make(streamed, 1)
		go func() { answer <- f.streamOne(ctx, md, r.message) }()
		answers <- answer
	}
}

// send writes answers until the channel is closed, or drains it after an error.
func send(stream oippb.GRPCInferenceService_ModelStreamInferServer, answers <-chan streamed) (failed error) {
	for answer := range answers {
		m := <-answer
		if failed == nil {
			failed = stream.Send(m)
		}
	}
	return failed
}

func (f *grpcFront) streamOne(ctx context.Context, md metadata.MD, m *oippb.ModelInferRequest) *oippb.ModelStreamInferResponse {
	response, err := f.inferCaught(ctx, md, m)
	if err != nil {
		return &oippb.ModelStreamInferResponse{
			ErrorMessage: err.Error(), InferResponse: &oippb.ModelInferResponse{Id: m.GetId(), ModelName: m.GetModelName()},
		}
	}
	return &oippb.ModelStreamInferResponse{InferResponse: response}
}

// inferCaught is infer on a goroutine of its own, which no interceptor guards.
func (f *grpcFront) inferCaught(ctx context.Context, md metadata.MD, m *oippb.ModelInferRequest) (r *oippb.ModelInferResponse, err error) {
	defer f.caught(streamMethod, &err)
	r, _, err = f.infer(ctx, md, m)
	return r, err
}
