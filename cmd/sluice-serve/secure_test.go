package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sluice-dev/sluice/e2e/await"
	"github.com/sluice-dev/sluice/serving/oippb"
)

// certify writes a certificate for loopback with its key, and gives a pool that
// trusts it.
func certify(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	require.NoError(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.crt"), cert, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(cert))
	return pool
}

func TestTLSAndTokens(t *testing.T) {
	dir := t.TempDir()
	pool := certify(t, dir)
	tokens, grpcFile := filepath.Join(dir, "tokens"), filepath.Join(dir, "grpc")
	require.NoError(t, os.WriteFile(tokens, []byte("secret\n"), 0o600))
	p := start(t, "v3-2", "--tls-cert", filepath.Join(dir, "tls.crt"), "--tls-key", filepath.Join(dir, "tls.key"),
		"--token-file", tokens, "--grpc-address", "127.0.0.1:0", "--grpc-address-file", grpcFile)
	url := strings.Replace(p.url, "http:", "https:", 1)
	trusting := &tls.Config{RootCAs: pool}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting}}
	get := func(path, token string) int {
		r, err := http.NewRequest(http.MethodGet, url+path, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Authorization", token)
		answer, err := client.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		return answer.StatusCode
	}
	assert.Equal(t, http.StatusOK, get("/v2/health/ready", ""))
	assert.Equal(t, http.StatusUnauthorized, get("/v2/models/magika", "Bearer wrong"))
	assert.Equal(t, http.StatusOK, get("/v2/models/magika", "Bearer secret"))
	code, text := p.get("/v2/health/ready")
	assert.Equal(t, http.StatusBadRequest, code, text) // plain text to a TLS port

	address, err := os.ReadFile(grpcFile)
	require.NoError(t, err)
	conn, err := grpc.NewClient(strings.TrimSpace(string(address)), grpc.WithTransportCredentials(credentials.NewTLS(trusting)))
	require.NoError(t, err)
	defer conn.Close()
	c := oippb.NewGRPCInferenceServiceClient(conn)
	_, err = c.ModelReady(t.Context(), &oippb.ModelReadyRequest{Name: "magika"})
	assert.Equal(t, codes.Unauthenticated, status.Code(err))
	_, err = c.ModelReady(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer secret"), &oippb.ModelReadyRequest{Name: "magika"})
	assert.NoError(t, err)
}

func TestOnlyClientsOfTheAuthorityAreServed(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	pool := certify(t, dir)
	certify(t, elsewhere)
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	p := start(t, "v3-2", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", cert)
	ask := func(shown string) error {
		trusting := &tls.Config{RootCAs: pool}
		if shown != "" {
			pair, err := tls.LoadX509KeyPair(filepath.Join(shown, "tls.crt"), filepath.Join(shown, "tls.key"))
			require.NoError(t, err)
			trusting.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting}}
		defer client.CloseIdleConnections()
		r, err := client.Get(strings.Replace(p.url, "http:", "https:", 1) + "/v2/health/ready")
		if err == nil {
			err = r.Body.Close()
		}
		return err
	}
	assert.NoError(t, ask(dir))
	assert.ErrorContains(t, ask(""), "certificate required")
	assert.ErrorContains(t, ask(elsewhere), "tls: ")
}

func TestProxyStandsBeforeAnotherProtocol(t *testing.T) {
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	defer behind.Close()
	addressFile := filepath.Join(t.TempDir(), "address")
	p := begin(t, "proxy", "--to", behind.URL, "--http-address", "127.0.0.1:0", "--address-file", addressFile, "--drain-delay", "0s")
	p.await("listening")
	address, err := os.ReadFile(addressFile)
	require.NoError(t, err)
	p.url = "http://" + strings.TrimSpace(string(address))
	_, text := p.get("/v1/models")
	assert.Equal(t, "/v1/models", text)
	code, _ := p.get("/v2/health/ready")
	assert.Equal(t, http.StatusOK, code)
	_, text = p.get("/metrics")
	assert.Contains(t, text, `sluice_passthrough_answers_total{status="200"} 1`)
	behind.Close()
	code, _ = p.get("/v2/health/ready")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	p.await("drained")
	assert.NoError(t, await.Next(t, p.exited, "the exit"))
}
