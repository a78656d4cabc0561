package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	glance    = 250 * time.Millisecond // how often a stream looks for something new
	heartbeat = 15 * time.Second       // after so long without news a comment shows that the stream lives
	patience  = 5 * time.Second        // with a client that does not read
)

// events streams the list of inference routes as server-sent events, whenever
// it changed, until the request's context ends.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := stream{w, http.NewResponseController(w)}
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	var last []byte
	for quiet := time.Duration(0); ; quiet += glance {
		data, err := json.Marshal(viewsOf(s.Controller.Snapshots()))
		switch {
		case err != nil:
			s.Log.Error("api: events", "error", err)
			return
		case !bytes.Equal(data, last):
			last, quiet, err = data, 0, out.send("data: %s\n\n", data)
		case quiet >= heartbeat:
			quiet, err = 0, out.send(": nothing new\n\n")
		}
		if err != nil {
			return // the client left
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// stream is an answer that goes on. A client that does not read is left.
type stream struct {
	w     http.ResponseWriter
	flush *http.ResponseController
}

func (s stream) send(format string, args ...any) error {
	_ = s.flush.SetWriteDeadline(time.Now().Add(patience)) // what cannot have one, as in tests, does not block
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	return s.flush.Flush()
}
