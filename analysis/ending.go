package analysis

import "strconv"

// Ending is how a request ended, as a proxy tells of it.
type Ending struct {
	Code  uint64 // HTTP status; 0: no answer came
	GRPC  uint64 // status of an answer that is gRPC's; 0 of every other one
	Flags Flags
}

// Flags are Envoy's response flags, one bit for each field of
// envoy.data.accesslog.v3.ResponseFlags by its number.
type Flags uint64

// The flags that say what became of an attempt, or of a request without one.
const (
	FlagUH    Flags = 1 << 2  // no healthy upstream
	FlagUT    Flags = 1 << 3  // upstream request time-out
	FlagLR    Flags = 1 << 4  // local reset
	FlagUR    Flags = 1 << 5  // upstream remote reset
	FlagUF    Flags = 1 << 6  // upstream connection failure
	FlagUC    Flags = 1 << 7  // upstream connection termination
	FlagUO    Flags = 1 << 8  // upstream overflow
	FlagDC    Flags = 1 << 15 // downstream connection termination
	FlagSI    Flags = 1 << 17 // stream idle time-out
	FlagDPE   Flags = 1 << 19 // downstream protocol error
	FlagUMSDR Flags = 1 << 20 // upstream max stream duration reached
	FlagDT    Flags = 1 << 23 // duration time-out
	FlagUPE   Flags = 1 << 24 // upstream protocol error
	FlagNC    Flags = 1 << 25 // no cluster found
	FlagDF    Flags = 1 << 27 // DNS resolution failure
	FlagDR    Flags = 1 << 28 // downstream remote reset

	// FlagsLeft are of clients that left, FlagsSlow of time-outs.
	FlagsLeft = FlagDC | FlagDR | FlagDPE
	FlagsSlow = FlagUT | FlagSI | FlagUMSDR | FlagDT
	// FlagsBroken is every other way to end without an answer, or amid one.
	FlagsBroken = FlagUH | FlagLR | FlagUR | FlagUF | FlagUC | FlagUO | FlagUPE | FlagNC | FlagDF
)

// FlagOf is the flag that %RESPONSE_FLAGS% writes so; 0: one that says nothing of an
// end.
func FlagOf(short string) Flags {
	switch short {
	case "UH":
		return FlagUH
	case "UT":
		return FlagUT
	case "LR":
		return FlagLR
	case "UR":
		return FlagUR
	case "UF":
		return FlagUF
	case "UC":
		return FlagUC
	case "UO":
		return FlagUO
	case "DC":
		return FlagDC
	case "SI":
		return FlagSI
	case "DPE":
		return FlagDPE
	case "UMSDR":
		return FlagUMSDR
	case "DT":
		return FlagDT
	case "UPE":
		return FlagUPE
	case "NC":
		return FlagNC
	case "DF":
		return FlagDF
	case "DR":
		return FlagDR
	}
	return 0
}

// Any says whether one of some flags is set.
func (f Flags) Any(of Flags) bool { return f&of != 0 }

// statusTimedOut is what Envoy answers where it gave up.
const statusTimedOut = 504

// Outcome says what became of the request.
//
//   - A 5xx answer is an error of the arm, even if its body never came; but a 504 with
//     the flag of a time-out is Envoy's own.
//   - A reset after the answer began, like a time-out, is slower than any limit.
//   - A 4xx answer is the client's fault, 429 too.
//   - A gRPC status counts as the HTTP status that Envoy maps it to.
//   - No answer at all, and no flag, is an error.
func (e Ending) Outcome() Outcome {
	switch {
	case e.Code == statusTimedOut && e.Flags.Any(FlagsSlow):
		return TimedOut
	case e.Code >= 500:
		return Failed
	case e.Flags.Any(FlagsLeft):
		return Abandoned
	case e.Flags.Any(FlagsSlow):
		return TimedOut
	case e.Code == 0:
		return Failed
	case e.Flags.Any(FlagsBroken):
		return TimedOut
	case e.Code >= 400:
		return ClientFault
	}
	return grpcOutcome(e.GRPC)
}

// grpcOutcome reads the gRPC status of an answer with HTTP status 200.
func grpcOutcome(status uint64) Outcome {
	switch status {
	case 0:
		return Succeeded
	// Envoy's HTTP equivalents are 499, 400, 404, 409, 403, 429, 400, 409, 400 and
	// 401; its load reports count them as successes of the endpoint.
	case 1, 3, 5, 6, 7, 8, 9, 10, 11, 16:
		return ClientFault
	}
	return Failed // 2, 4, 12, 13, 14, 15: 500, 504, 501, 500, 503, 500; and what no standard knows
}

// grpcUnknown is the status of what is none.
const grpcUnknown = 2

// GRPCStatus reads a status: its number, or either of the names that %GRPC_STATUS% has
// for it, CamelCase or SNAKE_STRING. None is 0, and what no standard knows counts as
// unknown, and is not ok.
func GRPCStatus(text []byte) (status uint64, ok bool) {
	if len(text) == 0 || string(text) == "0" {
		return 0, true
	}
	if status, err := strconv.ParseUint(string(text), 10, 32); err == nil {
		return status, true
	}
	for status, names := range [...][2]string{
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
		if string(text) == names[0] || string(text) == names[1] {
			return uint64(status), true
		}
	}
	return grpcUnknown, false
}
