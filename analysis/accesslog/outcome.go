package accesslog

import (
	"strconv"

	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"

	"github.com/sluice-dev/sluice/analysis"
)

// attemptOutcome says what became of an attempt.
//
//   - A 5xx answer is an error of the arm, even if the client left after it began.
//   - A client that left (DC, DR) is censored.
//   - No answer and no flag is the route's time-out (UT): the flag is in the
//     request's entry alone.
//   - A reset after the answer began, or a time-out, is slower than any limit.
//   - A gRPC status counts as the HTTP status that Envoy maps it to.
func attemptOutcome(e *entrypb.HTTPAccessLogEntry) analysis.Outcome {
	flags := e.GetCommonProperties().GetResponseFlags()
	code := e.GetResponse().GetResponseCode().GetValue()
	switch {
	case code >= 500:
		return analysis.Failed
	case flags.GetDownstreamConnectionTermination(), flags.GetDownstreamRemoteReset(), flags.GetDownstreamProtocolError():
		return analysis.Abandoned
	case timedOut(flags):
		return analysis.TimedOut
	case broken(flags):
		if code == 0 {
			return analysis.Failed
		}
		return analysis.TimedOut
	case code == 0:
		return analysis.TimedOut
	case code >= 400:
		return analysis.ClientFault
	}
	return grpcOutcome(e.GetResponse())
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

// unattempted says whether a request ended before there was an attempt: nobody to
// send it to.
func unattempted(common *entrypb.AccessLogCommon) bool {
	f := common.GetResponseFlags()
	return common.GetUpstreamRemoteAddress() == nil && (f.GetNoHealthyUpstream() || f.GetNoClusterFound())
}
