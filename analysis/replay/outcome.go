package replay

import (
	"strings"

	"github.com/sluice-dev/sluice/analysis"
)

// clientLeft is the status of a request whose client closed it: proxies log it, and
// nobody answers with it.
const clientLeft = 499

// outcome says what became of a request by its status.
func (f *fields) outcome() (analysis.Outcome, error) {
	e, err := f.ending(fieldStatus, "status")
	if e.Code == clientLeft {
		e.Flags |= analysis.FlagDC
	}
	return e.Outcome(), err
}

// entryOutcome says what became of a request of an Envoy's, which has a flag for clients
// that left.
func (f *fields) entryOutcome() (analysis.Outcome, error) {
	e, err := f.ending(fieldCode, "response_code")
	return e.Outcome(), err
}

func (f *fields) ending(status field, name string) (e analysis.Ending, err error) {
	code, found, err := f.whole(status, name, 999)
	switch {
	case err != nil:
		return e, err
	case !found:
		return e, factf("%s: is missing", name)
	}
	e.Code = code
	flags, err := f.text(fieldFlags, "response_flags")
	if err != nil {
		return e, err
	}
	for flag := range strings.SplitSeq(string(flags), ",") {
		e.Flags |= analysis.FlagOf(flag)
	}
	e.GRPC, err = f.grpc()
	return e, err
}

// grpc reads a gRPC status: its number, or the name that Envoy writes for it.
func (f *fields) grpc() (status uint64, err error) {
	if raw := f[fieldGRPC]; len(raw) > 2 && raw[0] == '"' {
		if status, ok := analysis.GRPCStatus(raw[1 : len(raw)-1]); ok {
			return status, nil
		}
	}
	status, _, err = f.whole(fieldGRPC, "grpc_status", 1<<31)
	return status, err
}
