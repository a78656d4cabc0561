package accesslog

import (
	"strconv"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// outcome says what became of an attempt, cut-off ones aside. An answer without a gRPC
// status is not gRPC.
func (e *entry) outcome() analysis.Outcome {
	grpc, _ := analysis.GRPCStatus(e.grpcStatus)
	return analysis.Ending{Code: e.code, GRPC: grpc, Flags: e.flags}.Outcome()
}

// perToken is how long the server took for a token, if it says how many the answer has:
// of one that streams, between two of them, from the first byte to the last; of one that
// came whole, of all its time. 0: nobody knows.
func (e *entry) perToken() time.Duration {
	if len(e.tokens) == 0 || !e.complete || e.firstByte == 0 {
		return 0
	}
	n, err := strconv.ParseUint(string(e.tokens), 10, 32)
	switch {
	case err != nil, n == 0, e.trailed && n == 1:
		return 0
	case e.trailed:
		return max(1, (e.lastByte-e.firstByte)/time.Duration(n-1))
	}
	return max(1, e.lastByte/time.Duration(n))
}

// cutOff says whether an attempt ended before its answer did, and its entry does
// not say why: Envoy dropped it, because its request had ended.
func (e *entry) cutOff() bool {
	return !e.complete && !e.flags.Any(analysis.FlagsLeft|analysis.FlagsSlow|analysis.FlagsBroken) &&
		(e.code == 0 || e.outcome() == analysis.Succeeded)
}

// issued says whether an attempt was given a connection.
func (e *entry) issued() bool { return e.host != nil && !e.flags.Any(unissued) }

// unattempted says whether a request ended before its first attempt: there was
// nobody to send it to.
func (e *entry) unattempted() bool { return e.attempts <= 1 && e.flags.Any(unattempted) }
