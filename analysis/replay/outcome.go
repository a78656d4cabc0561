package replay

import "github.com/sluice-dev/sluice/analysis"

// outcome says what became of a request by its status: a 5xx answer, or none (0),
// is an error; 4xx is the client's fault, but 499 says that the client left. A
// gRPC status counts as the HTTP status that Envoy maps it to.
func (f *fields) outcome() (analysis.Outcome, error) {
	status, found, err := f.whole(fieldStatus, "status", 999)
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, factError("status: is missing")
	}
	return f.judge(status)
}

// clientLeft is the status that proxies log where the client closed the request.
const clientLeft = 499

func (f *fields) judge(status uint64) (analysis.Outcome, error) {
	switch {
	case status == 0, status >= 500:
		return analysis.Failed, nil
	case status == clientLeft:
		return analysis.Abandoned, nil
	case status >= 400:
		return analysis.ClientFault, nil
	}
	code, found, err := f.grpc()
	if err != nil || !found {
		return analysis.Succeeded, err
	}
	return grpcOutcome(code), nil
}

// grpc reads a gRPC status: its number, or the name that Envoy writes for it.
func (f *fields) grpc() (code uint64, found bool, err error) {
	if raw := f[fieldGRPC]; len(raw) > 2 && raw[0] == '"' {
		if code, ok := grpcCode(string(raw[1 : len(raw)-1])); ok {
			return code, true, nil
		}
	}
	return f.whole(fieldGRPC, "grpc_status", 1<<31)
}

// grpcOutcome is that of an answer with HTTP status 200.
func grpcOutcome(code uint64) analysis.Outcome {
	switch code {
	case 0:
		return analysis.Succeeded
	case 1, 3, 5, 6, 7, 8, 9, 10, 11, 16: // Envoy's HTTP equivalents are 4xx
		return analysis.ClientFault
	}
	return analysis.Failed
}

// grpcCode finds a status by either of the names that Envoy's %GRPC_STATUS% has
// for it: CamelCase, or its SNAKE_STRING.
func grpcCode(name string) (uint64, bool) {
	for code, names := range [...][2]string{
		{"OK", "OK"},
		{"Canceled", "CANCELLED"},
		{"Unknown", "UNKNOWN"},
		{"InvalidArgument", "INVALID_ARGUMENT"},
		{"DeadlineExceeded", "DEADLINE_EXCEEDED"},
		{"NotFound", "NOT_FOUND"},
		{"AlreadyExists", "ALREADY_EXISTS"},
		{"PermissionDenied", "PERMISSION_DENIED"},
		{"ResourceExhausted", "RESOURCE_EXHAUSTED"},
		{"FailedPrecondition", "FAILED_PRECONDITION"},
		{"Aborted", "ABORTED"},
		{"OutOfRange", "OUT_OF_RANGE"},
		{"Unimplemented", "UNIMPLEMENTED"},
		{"Internal", "INTERNAL"},
		{"Unavailable", "UNAVAILABLE"},
		{"DataLoss", "DATA_LOSS"},
		{"Unauthenticated", "UNAUTHENTICATED"},
	} {
		if name == names[0] || name == names[1] {
			return uint64(code), true
		}
	}
	return 0, false
}
