package plane

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluice-dev/sluice/xds/name"
)

// request is one to an inference route, which nobody has sent.
func request(ctx context.Context, port uint32, host string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/infer", port), strings.NewReader("{}"))
	r.Host, r.RequestURI = host, "" // which is a server's
	return r
}

// answer is what a request got.
type answer struct {
	status  string
	version string // that served it
	id      string // of the request
	body    string
}

// post sends a request.
func post(r *http.Request) (answer, error) {
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	version, _, _ := name.ParseArm(response.Header.Get(name.HeaderServed)) // Envoy's own answers have none
	return answer{response.Status, version, response.Header.Get("X-Request-Id"), string(body)}, err
}

// as sends one request of a user's.
func (s *scene) as(ctx context.Context, who string) (answer, error) {
	r := request(ctx, s.port, "filetype.ml")
	r.Header.Set(user, who)
	return post(r)
}

// status of an answer at a port, over a connection of its own.
func status(t *testing.T, port uint32, host string) string {
	r := request(t.Context(), port, host)
	r.Close = true
	got, err := post(r)
	if err != nil {
		return err.Error()
	}
	return got.status
}

// address is where a server listens until the test ends.
func address(t *testing.T, serves http.Handler) string {
	server := httptest.NewServer(serves)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
