package accesslog

import "strconv"

// longestDigest is how much of a digest or label is kept.
const longestDigest = 128

// status writes how a request was answered. A gRPC status is the last word.
func (a *attribution) status(e *entry) string {
	switch {
	case e.code == 0:
		return ""
	case len(e.grpcStatus) > 0 && e.code < 300:
		return a.text(append(append(a.scratch[:0], "grpc "...), e.grpcStatus[:min(len(e.grpcStatus), 16)]...))
	}
	return a.text(strconv.AppendUint(a.scratch[:0], e.code, 10))
}
