package accesslog

import (
	"strconv"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// outcome says what became of an attempt, cut-off ones aside.
//
//   - A 5xx answer is an error of the arm, even if its body never came.
//   - A reset after the answer began, like a time-out, is slower than any limit.
//   - A 4xx answer is the client's fault, 429 too.
//   - A gRPC status counts as the HTTP status that Envoy maps it to.
func (e *entry) outcome() analysis.Outcome {
	switch {
	case e.code >= 500:
		return analysis.Failed
	case e.flags.any(clientLeft):
		return analysis.Abandoned
	case e.flags.any(timedOut):
		return analysis.TimedOut
	case e.flags.any(broken) && e.code == 0:
		return analysis.Failed
	case e.flags.any(broken):
		return analysis.TimedOut
	case e.code >= 400:
		return analysis.ClientFault
	}
	return grpcOutcome(e.grpcStatus)
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
	return !e.complete && e.code < 400 && !e.flags.any(clientLeft|timedOut|broken) && grpcOutcome(e.grpcStatus) == analysis.Succeeded
}

// issued says whether an attempt was given a connection.
func (e *entry) issued() bool { return e.host != nil && !e.flags.any(unissued) }

// unattempted says whether a request ended before its first attempt: there was
// nobody to send it to.
func (e *entry) unattempted() bool { return e.attempts <= 1 && e.flags.any(unattempted) }

// grpcOutcome reads the gRPC status of an answer with HTTP status 200. An answer
// without one is not gRPC.
func grpcOutcome(status []byte) analysis.Outcome {
	if len(status) == 0 || string(status) == "0" {
		return analysis.Succeeded
	}
	code, err := strconv.ParseUint(string(status), 10, 32)
	if err != nil {
		return analysis.Failed
	}
	switch code {
	// Envoy's HTTP equivalents are 499, 400, 404, 409, 403, 429, 400, 409, 400 and
	// 401; its load reports count them as successes of the endpoint.
	case 1, 3, 5, 6, 7, 8, 9, 10, 11, 16:
		return analysis.ClientFault
	}
	return analysis.Failed // 2, 4, 12, 13, 14, 15: 500, 504, 501, 500, 503, 500; and what no standard knows
}
