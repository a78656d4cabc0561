package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/sluice-dev/sluice/serving/server/passthrough"
)

const proxyLong = `Stands before a server that speaks OpenAI's protocol, as vLLM does, and passes all of
/v1 through as it is, streams token by token. It refuses with 429 what exceeds --limit,
tells Envoy the load (the header endpoint-load-metrics), counts, and holds an answer's
headers until its first token, so that who watches from outside can time it. How many
tokens an answer has it says in x-sluice-tokens: a trailer of a stream, or else a header.
/v2/health/ready asks the server's --ready-path.`

// proxying is the command line of proxy.
type proxying struct {
	flags
	to, readyPath string
	limit         int64
}

func proxyCommand() *cobra.Command {
	var p proxying
	c := &cobra.Command{
		Use:           "proxy --to URL",
		Short:         "Stand before a server that speaks OpenAI's protocol",
		Long:          proxyLong,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.run(c.Context(), slog.New(slog.NewJSONHandler(c.ErrOrStderr(), nil)))
		},
	}
	s := c.Flags()
	s.SortFlags = false
	s.StringVar(&p.to, "to", "", "`URL` of the server, without /v1 (required)")
	s.StringVar(&p.readyPath, "ready-path", "/v1/models", "`path` that the server answers with 200 when it is ready")
	s.Int64Var(&p.limit, "limit", 256, "most `requests` under way")
	s.StringVar(&p.httpAddress, "http-address", "127.0.0.1:8000", "`host:port` to listen on; port 0 takes a free one")
	s.StringVar(&p.addressFile, "address-file", "", "write the address to this `file` once it listens")
	s.DurationVar(&p.drainDelay, "drain-delay", time.Second, "on SIGTERM: accept requests for so long with readiness down")
	s.DurationVar(&p.drainTimeout, "drain-timeout", time.Minute, "on SIGTERM: then give streams in flight so long to finish")
	return c
}

// run serves until ctx ends, then drains as the inference server does.
func (p *proxying) run(ctx context.Context, log *slog.Logger) error {
	target, err := url.Parse(p.to)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	h, err := passthrough.New(passthrough.Config{Target: target, Limit: p.limit, Logger: log})
	if err != nil {
		return fmt.Errorf("--to and --limit: %w", err)
	}
	listener, err := net.Listen("tcp", p.httpAddress)
	if err != nil {
		return err
	}
	var draining atomic.Bool
	front := &http.Server{Handler: p.paths(h, &draining), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- front.Serve(listener) }()
	if err := writeAddress(p.addressFile, listener.Addr().String()); err != nil {
		return errors.Join(err, front.Close())
	}
	log.Info("listening", "address", listener.Addr().String(), "to", p.to)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	draining.Store(true)
	log.Info("draining", "delay", p.drainDelay.String(), "timeout", p.drainTimeout.String())
	time.Sleep(p.drainDelay)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.drainTimeout)
	defer cancel()
	if err := front.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("drain: requests in flight did not finish: %w", err), front.Close())
	}
	log.Info("drained")
	return nil
}

func (p *proxying) paths(h *passthrough.Handler, draining *atomic.Bool) http.Handler {
	registry := prometheus.NewRegistry()
	h.Register(registry)
	mux := http.NewServeMux()
	mux.Handle("/v1/", h)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /v2/health/live", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v2/health/ready", func(w http.ResponseWriter, r *http.Request) {
		if err := p.ready(r.Context()); err != nil || draining.Load() {
			http.Error(w, fmt.Sprintf("not ready: draining %v, server: %v", draining.Load(), err), http.StatusServiceUnavailable)
		}
	})
	return mux
}

// ready asks the server.
func (p *proxying) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.to+p.readyPath, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", r.URL, answer.Status)
	}
	return nil
}
