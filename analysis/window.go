package analysis

import (
	"cmp"
	"time"

	"github.com/sluice-dev/sluice/config"
)

// WindowLength is the request-start time that one window covers.
const WindowLength = 250 * time.Millisecond

// Window holds integer sums over WindowLength of request-start time × version ×
// epoch × pod of one inference route. Windows merge by addition, across proxies
// and across control planes.
type Window struct {
	WindowKey
	Requests  int64 // first attempts with an outcome: Succeeded, Failed, TimedOut
	Errors    int64 // Failed or TimedOut
	Abandoned int64 // the client left
	// ClientErrors were answered with a client error: neither in Requests nor in Errors.
	ClientErrors int64
	Late         int64 // of Requests: ended later than the window's age, counted where they ended
	// Begun were told while they ran or waited; Told, of all others, are those that had been. So each
	// request is counted as issued once, when something of it is first known. Those with a
	// unit are in neither, for they are not what the split draws.
	Begun, Told int64
	Times
	// Segments are parts of Requests and Errors. Empty where no segment is watched.
	Segments SegmentCounts
	// Units are parts of Requests, Errors, Abandoned and ClientErrors. Empty where no
	// unit is sticky.
	Units UnitCounts
}

// WindowKey identifies a window within an inference route.
type WindowKey struct {
	Index   int64 // Start / WindowLength since the Unix epoch
	Version string
	Epoch   uint64
	Pod     string
}

// Start is the first request-start time of the window.
func (k WindowKey) Start() time.Time {
	return time.Unix(0, k.Index*int64(WindowLength)).UTC()
}

// IndexAt is the index of the window that t falls into.
func IndexAt(t time.Time) int64 {
	n, l := t.UnixNano(), int64(WindowLength)
	if n < 0 {
		return -((-n + l - 1) / l)
	}
	return n / l
}

// Compare orders keys by time, version, epoch and pod.
func (k WindowKey) Compare(o WindowKey) int {
	return cmp.Or(
		cmp.Compare(k.Index, o.Index),
		cmp.Compare(k.Version, o.Version),
		cmp.Compare(k.Epoch, o.Epoch),
		cmp.Compare(k.Pod, o.Pod),
	)
}

// Arms names the two versions a rollout compares.
type Arms struct {
	Route     config.Key `json:"route"`
	Stable    string     `json:"stable"`
	Candidate string     `json:"candidate"`
}
