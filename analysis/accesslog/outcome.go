package accesslog

import (
	"strconv"

	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"

	"github.com/sluice-dev/sluice/analysis"
)

// attemptOutcome says what became of an attempt, cut-off ones aside.
//
//   - A 5xx answer is an error of the arm, even if its body never came.
//   - A reset after the answer began, like a time-out, is slower than any limit.
//   - A 4xx answer is the client's fault, 429 too.
//   - A gRPC status counts as the HTTP status that Envoy maps it to.
func attemptOutcome(e *entrypb.HTTPAccessLogEntry) analysis.Outcome {
	flags := e.GetCommonProperties().GetResponseFlags()
	code := e.GetResponse().GetResponseCode().GetValue()
	switch {
	case code >= 500:
		return analysis.Failed
	case clientLeft(flags):
		return analysis.Abandoned
	case timedOut(flags):
		return analysis.TimedOut
	case broken(flags) && code == 0:
		return analysis.Failed
	case broken(flags):
		return analysis.TimedOut
	case code >= 400:
		return analysis.ClientFault
	}
	return grpcOutcome(e.GetResponse())
}

// cutOff says whether an attempt ended before its answer did, and its entry does
// not say why: Envoy dropped it, because its request had ended.
func cutOff(e *entrypb.HTTPAccessLogEntry) bool {
	flags := e.GetCommonProperties().GetResponseFlags()
	if e.GetCommonProperties().GetTimeToLastUpstreamRxByte() != nil || clientLeft(flags) || timedOut(flags) || broken(flags) {
		return false
	}
	return e.GetResponse().GetResponseCode().GetValue() < 400 && grpcOutcome(e.GetResponse()) == analysis.Succeeded
}

// grpcOutcome reads the gRPC status of an answer with HTTP status 200, from its
// trailers, or from its headers where there is nothing else. An answer without one
// is not gRPC.
func grpcOutcome(response *entrypb.HTTPResponseProperties) analysis.Outcome {
	status := response.GetResponseTrailers()["grpc-status"]
	if status == "" {
		status = response.GetResponseHeaders()["grpc-status"]
	}
	if status == "" || status == "0" {
		return analysis.Succeeded
	}
	code, err := strconv.ParseUint(status, 10, 32)
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

func clientLeft(f *entrypb.ResponseFlags) bool {
	return f.GetDownstreamConnectionTermination() || f.GetDownstreamRemoteReset() || f.GetDownstreamProtocolError()
}

func timedOut(f *entrypb.ResponseFlags) bool {
	return f.GetUpstreamRequestTimeout() || f.GetStreamIdleTimeout() || f.GetDurationTimeout() || f.GetUpstreamMaxStreamDurationReached()
}

// broken is every way to end without an answer, or amid one, but a time-out.
func broken(f *entrypb.ResponseFlags) bool {
	return f.GetUpstreamConnectionFailure() || f.GetUpstreamConnectionTermination() || f.GetUpstreamRemoteReset() ||
		f.GetLocalReset() || f.GetUpstreamOverflow() || f.GetUpstreamProtocolError() || f.GetNoHealthyUpstream() ||
		f.GetNoClusterFound() || f.GetDnsResolutionFailure()
}

// issued says whether an attempt was given a connection.
func issued(common *entrypb.AccessLogCommon) bool {
	f := common.GetResponseFlags()
	return common.GetUpstreamRemoteAddress() != nil && !f.GetUpstreamConnectionFailure() && !f.GetUpstreamOverflow()
}

// unattempted says whether a request ended before its first attempt: there was
// nobody to send it to.
func unattempted(common *entrypb.AccessLogCommon) bool {
	f := common.GetResponseFlags()
	return common.GetUpstreamRequestAttemptCount() <= 1 && (f.GetNoHealthyUpstream() || f.GetNoClusterFound())
}
