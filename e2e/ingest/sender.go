package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	logspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sluice-dev/sluice/e2e/ingest/corpus"
)

// send sends so many entries on so many streams, and returns when all were taken.
func send(ctx context.Context, socket string, epoch uint64, entries, streams int) error {
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		return err
	}
	defer conn.Close()
	g, ctx := errgroup.WithContext(ctx)
	for stream := range streams {
		g.Go(func() error {
			return sendStream(ctx, conn, fmt.Sprintf("gateway-%d", stream/2), epoch, entries/corpus.PerMessage/streams)
		})
	}
	return g.Wait()
}

// sendStream is one worker of a proxy.
func sendStream(ctx context.Context, conn *grpc.ClientConn, proxy string, epoch uint64, count int) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		logspb.AccessLogService_StreamAccessLogs_FullMethodName)
	if err != nil {
		return err
	}
	var made time.Time
	var list [][]byte
	for n := range count {
		if now := time.Now(); now.Sub(made) > time.Second {
			made = now
			if list, err = corpus.Messages(proxy, epoch, now); err != nil {
				return err
			}
		}
		if err := stream.SendMsg(list[n%len(list)]); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if err := stream.RecvMsg(&[]byte{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// raw is a codec for messages that are marshalled already.
type raw struct{}

func (raw) Name() string { return "proto" }

// Marshal gives the bytes.
func (raw) Marshal(v any) ([]byte, error) {
	if b, ok := v.([]byte); ok {
		return b, nil
	}
	return nil, fmt.Errorf("%T: is not bytes", v)
}

// Unmarshal copies the bytes.
func (raw) Unmarshal(data []byte, v any) error {
	if b, ok := v.(*[]byte); ok {
		*b = append((*b)[:0], data...)
		return nil
	}
	return fmt.Errorf("%T: is not bytes", v)
}
