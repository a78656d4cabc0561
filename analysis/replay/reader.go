package replay

import (
	"math"
	"time"

	"github.com/sluice-dev/sluice/analysis"
)

// of says whose a request is.
type of int

const (
	ofArm of = iota
	ofOther
)

// reader turns lines into requests.
type reader struct {
	stable, candidate string
	fields            fields
	known             map[string]string // names that lines repeat
}

func newReader(stable, candidate string) *reader {
	return &reader{stable: stable, candidate: candidate, known: map[string]string{}}
}

// read gives the request of a line, and whether it is of an arm. The version of
// another one is the name that it went by.
func (r *reader) read(line []byte) (analysis.Request, of, error) {
	if err := r.fields.read(line); err != nil {
		return analysis.Request{}, ofOther, err
	}
	f := &r.fields
	switch {
	case f[fieldT] == nil && f[fieldStart] != nil:
		return r.entry()
	case f[fieldT] == nil && f[fieldVersion] == nil:
		return analysis.Request{}, ofOther, factError(`t: is missing: neither a request ("t", "version", "status", "latency_ms") ` +
			`nor an entry of Envoy's ("start_time", "upstream_cluster", "response_code", "duration")`)
	}
	return r.request()
}

// request reads the form of Sluice's own.
func (r *reader) request() (q analysis.Request, whose of, err error) {
	f := &r.fields
	q = analysis.Request{Attempt: 1, Issued: true}
	t, found, err := f.number(fieldT, "t")
	if err == nil && !found {
		err = factError("t: is missing: when the request started, in seconds")
	}
	if err == nil {
		q.Start, err = instant(t, r.fields[fieldT])
	}
	if err != nil {
		return q, ofOther, err
	}
	if q.Version, err = r.name(fieldVersion, "version"); err != nil {
		return q, ofOther, err
	}
	if q.Version == "" {
		return q, ofOther, factError("version: is missing")
	}
	if q.Pod, err = r.name(fieldPod, "pod"); err != nil {
		return q, ofOther, err
	}
	if q.Epoch, _, err = f.whole(fieldEpoch, "epoch", 1<<53); err != nil {
		return q, ofOther, err
	}
	if q.Duration, err = f.milliseconds(fieldLatency, "latency_ms", required); err != nil {
		return q, ofOther, err
	}
	if q.Segment, err = r.name(fieldSegment, "segment"); err != nil {
		return q, ofOther, err
	}
	if q.FirstByte, err = r.firstByte(q.Duration); err != nil {
		return q, ofOther, err
	}
	if q.PerToken, err = f.milliseconds(fieldPerToken, "tpot_ms", optional); err != nil {
		return q, ofOther, err
	}
	if q.Unit, err = r.unit(); err != nil {
		return q, ofOther, err
	}
	if q.Outcome, err = f.outcome(); err != nil {
		return q, ofOther, err
	}
	return q, r.whose(q.Version), nil
}

func (r *reader) firstByte(latency time.Duration) (time.Duration, error) {
	first, err := r.fields.milliseconds(fieldFirstByte, "ttfb_ms", optional)
	if err == nil && first > latency {
		err = factf("ttfb_ms: is above latency_ms, found %s", short(r.fields[fieldFirstByte]))
	}
	return first, err
}

func (r *reader) whose(version string) of {
	if version == r.stable || version == r.candidate {
		return ofArm
	}
	return ofOther
}

const (
	// relative is where the starts, in seconds, end that are taken for ones on a clock of
	// the recording's own; from unix on they are Unix time, and between the two nothing.
	relative = 100_000_000
	unix     = 1_000_000_000
	// origin is where such a clock begins for us: a multiple of every block that
	// divides a day, and not 0, which means "never".
	origin = 10_000 * 24 * time.Hour
	latest = 7_258_118_400 // the year 2200; beyond, it is not in seconds
)

// instant puts a time of the recording's on our clock.
func instant(seconds float64, found []byte) (time.Time, error) {
	if seconds < 0 || seconds > latest || seconds >= relative && seconds < unix {
		return time.Time{}, factf("t: is not a time in seconds, found %s", short(found))
	}
	at := time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC() // a float holds no more of Unix time
	if seconds < relative {
		at = at.Add(origin)
	}
	return at, nil
}

// secondsOf is a time on the recording's clock.
func secondsOf(at time.Time) float64 {
	if at.Unix() < unix {
		at = at.Add(-origin)
	}
	return float64(at.UnixMicro()) / 1e6
}

// need says whether a line may lack a field.
type need bool

const (
	required need = true
	optional need = false
)

// milliseconds reads a length of time.
func (f *fields) milliseconds(at field, name string, need need) (time.Duration, error) {
	ms, found, err := f.number(at, name)
	switch {
	case err != nil:
		return 0, err
	case !found && need == required:
		return 0, factf("%s: is missing", name)
	case ms < 0 || ms > 1e10:
		return 0, factf("%s: is not from 0 to 10000000000, found %s", name, short(f[at]))
	}
	return time.Duration(ms * float64(time.Millisecond)), nil
}

// remembered bounds the names that are kept; a full memory starts again.
const remembered = 4096

// name reads a string that other lines repeat.
func (r *reader) name(at field, name string) (string, error) {
	text, err := r.fields.text(at, name)
	if err != nil {
		return "", err
	}
	return r.keep(text), nil
}

// unit reads whose request it is. Envoy writes "-" for nobody's.
func (r *reader) unit() (string, error) {
	text, err := r.fields.text(fieldUnit, "unit")
	if string(text) == "-" {
		text = nil
	}
	return string(text[:min(len(text), analysis.LongestUnit)]), err
}

func (r *reader) keep(text []byte) string {
	if known, ok := r.known[string(text)]; ok {
		return known
	}
	if len(r.known) >= remembered {
		clear(r.known)
	}
	s := string(text)
	r.known[s] = s
	return s
}
