package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sluice-dev/sluice/serving/server"
)

// secure reads the certificate and the tokens.
func (f *flags) secure(c *server.Config) error {
	if f.tokenFile != "" {
		text, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return fmt.Errorf("--token-file: %w", err)
		}
		tokens := strings.Fields(string(text))
		if len(tokens) == 0 {
			return fmt.Errorf("--token-file: %s: empty", f.tokenFile)
		}
		c.Tokens = server.NewTokens(tokens...)
	}
	if f.tlsCert == "" {
		return nil
	}
	certificate := &certificate{cert: f.tlsCert, key: f.tlsKey}
	if _, err := certificate.get(nil); err != nil {
		return fmt.Errorf("--tls-cert: %w", err)
	}
	c.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: certificate.get, NextProtos: []string{"h2", "http/1.1"},
	}
	return f.askClients(c.TLS)
}

// askClients makes clients show a certificate.
func (f *flags) askClients(c *tls.Config) error {
	if f.tlsClientCA == "" {
		return nil
	}
	text, err := os.ReadFile(f.tlsClientCA)
	if err != nil {
		return fmt.Errorf("--tls-client-ca: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("--tls-client-ca: %w", errors.New(f.tlsClientCA+": no certificate"))
	}
	return nil
}

// certificate is read again when its file has changed, as those of Kubernetes do.
type certificate struct {
	cert, key string

	mu      sync.Mutex
	changed time.Time
	loaded  *tls.Certificate
}

// get gives the present certificate. One that cannot be read is no reason to
// drop the one before.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.cert)
	if err == nil && c.loaded != nil && info.ModTime().Equal(c.changed) {
		return c.loaded, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.cert, c.key); err == nil {
			c.loaded, c.changed = &pair, info.ModTime()
		}
	}
	if c.loaded != nil {
		return c.loaded, nil
	}
	return nil, err
}
