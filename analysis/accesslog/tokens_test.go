package accesslog

import (
	"testing"
	"time"

	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestTheTimePerToken(t *testing.T) {
	trailer := func(n string) change {
		return func(e *entrypb.HTTPAccessLogEntry) {
			e.Response.ResponseTrailers = map[string]string{"x-sluice-tokens": n}
		}
	}
	header := func(n string) change {
		return func(e *entrypb.HTTPAccessLogEntry) {
			e.Response.ResponseHeaders = map[string]string{"x-sluice-tokens": n}
		}
	}
	cut := func(e *entrypb.HTTPAccessLogEntry) { e.CommonProperties.TimeToLastUpstreamRxByte = nil }
	for _, tt := range []struct {
		name   string
		change change
		want   time.Duration
	}{
		{"of a stream, between its tokens", trailer("28"), 100 * time.Millisecond},
		{"of an answer that came whole, of all its time", header("30"), 100 * time.Millisecond},
		{"of one token of a stream, none", trailer("1"), 0},
		{"of one token, all its time", header("1"), 3 * time.Second},
		{"of no token, none", header("0"), 0},
		{"of a word, none", trailer("many"), 0},
		{"of a number below zero, none", trailer("-5"), 0},
		{"unless somebody says", func(*entrypb.HTTPAccessLogEntry) {}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := one(t, attempt(began, took(3*time.Second), tt.change))
			require.Len(t, r, 1)
			assert.Equal(t, tt.want, r[0].PerToken)
		})
	}
	r := one(t, attempt(began, took(3*time.Second), trailer("28"), cut))
	assert.Zero(t, r[0].PerToken, "of a stream that was cut off, none")
	r = one(t, attempt(took(3*time.Second), header("28")))
	assert.Zero(t, r[0].PerToken, "nor of one without a first byte")
	b, err := proto.Marshal(attempt(began, took(firstByte), trailer("7")))
	require.NoError(t, err)
	e, ok := readEntry(b)
	require.True(t, ok)
	assert.Positive(t, e.perToken(), "tokens that come all at once took some time")
}
