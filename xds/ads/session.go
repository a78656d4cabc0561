package ads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/xds"
)

// session is one stream of one proxy. Its requests are taken by a goroutine of its
// own; responses are decided on under the Server's lock and written outside it.
type session struct {
	// incremental tells the two protocols apart.
	incremental bool
	outbox      outbox
	end         context.CancelFunc

	// Guarded by the Server's lock.
	proxy   string // node id; empty until the first request
	build   string // Envoy's version
	since   time.Time
	gone    bool
	nonces  uint64
	unread  int // bytes of responses that were not answered
	watches map[xds.Type]*watch
}

// converse serves a proxy until it goes or Run ends. Each call of read takes one
// request.
func (s *Server) converse(ctx context.Context, c *session, read func() error) error {
	ctx, c.end = context.WithCancel(ctx)
	defer c.end()
	defer s.leave(c)
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = read()
		}
		ended <- err
	}()
	select {
	case err := <-ended:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	case <-ctx.Done():
		return nil
	}
}

// heard takes a request: who it is from, what it answers, and by ask what it asks
// for.
func (s *Server) heard(c *session, r request, ask func(*watch)) error {
	s.mu.Lock()
	err := s.hear(c, r, ask)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	c.outbox.flush()
	return nil
}

// request is what the requests of both protocols have in common.
type request struct {
	node  *corepb.Node
	typ   xds.Type
	nonce string
	nack  *statuspb.Status
}

func (s *Server) hear(c *session, r request, ask func(*watch)) error {
	if c.gone {
		return io.EOF
	}
	if err := s.identify(c, r.node); err != nil {
		return err
	}
	w, err := s.watch(c, r.typ)
	if err != nil {
		return err
	}
	if r.nonce != "" {
		s.answered(w, r.nonce, r.nack)
	}
	ask(w)
	return nil
}

// identify takes the node of a stream's first request.
func (s *Server) identify(c *session, node *corepb.Node) error {
	if c.proxy != "" {
		return nil
	}
	if why := unfit(node); why != "" {
		s.logRefusal(node, why)
		return status.Error(codes.InvalidArgument, why)
	}
	c.proxy, c.build = node.GetId(), buildOf(node)
	c.since = s.cfg.Now()
	s.join(c)
	return nil
}

func (s *Server) watch(c *session, t xds.Type) (*watch, error) {
	if w, ok := c.watches[t]; ok {
		return w, nil
	}
	f, ok := s.fanouts[t]
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "type_url %q: is not served here", t)
	}
	w := &watch{session: c, fanout: f, held: map[string]*held{}}
	c.watches[t] = w
	return w, nil
}

func buildOf(node *corepb.Node) string {
	v := node.GetUserAgentBuildVersion().GetVersion()
	if v == nil {
		return node.GetUserAgentVersion()
	}
	return fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
}

func (s *Server) join(c *session) {
	s.sessions[c] = struct{}{}
	s.tell(Connected{Proxy: c.proxy, At: c.since})
}

// leave forgets a stream that has ended.
func (s *Server) leave(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.gone = true
	if _, joined := s.sessions[c]; !joined {
		return
	}
	delete(s.sessions, c)
	for _, w := range c.watches {
		delete(w.fanout.wild, w)
		delete(s.refusing, w)
		s.yield(w)
		for n, h := range w.held {
			w.fanout.unsubscribe(w, n)
			h.take(nil, 0)
		}
	}
	for _, b := range s.ballots {
		if _, waited := b.waiting[c]; waited || b.late[c] {
			s.drop(b, c)
		}
	}
	s.tell(Disconnected{Proxy: c.proxy, At: s.cfg.Now()})
}

func (s *Server) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.sessions {
		c.end()
	}
}
