package replay

import (
	"bytes"
	"strings"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/xds/name"
)

// entry reads a line of an Envoy's access log in JSON: one downstream request,
// under the names that Envoy's format commands have.
func (r *reader) entry() (q analysis.Request, whose of, err error) {
	f := &r.fields
	q = analysis.Request{Attempt: 1, Issued: true}
	if q.Start, err = f.time(); err != nil {
		return q, ofOther, err
	}
	r.begun = true
	if q.Duration, err = f.milliseconds(fieldDuration, "duration", required); err != nil {
		return q, ofOther, err
	}
	if q.Pod, err = r.name(fieldHost, "upstream_host"); err != nil {
		return q, ofOther, err
	}
	shadow, err := f.text(fieldShadow, "x_sluice_shadow")
	if err != nil {
		return q, ofOther, err
	}
	q.Shadow = len(shadow) > 0
	if q.Unit, err = r.unit(); err != nil {
		return q, ofOther, err
	}
	if q.Version, err = r.version(); err != nil {
		return q, ofOther, err
	}
	if q.Epoch, q.Pinned, err = f.epoch(); err != nil {
		return q, ofOther, err
	}
	if q.Outcome, err = f.entryOutcome(); err != nil {
		return q, ofOther, err
	}
	return q, r.whose(q.Version), nil
}

// time reads Envoy's %START_TIME%.
func (f *fields) time() (time.Time, error) {
	text, err := f.text(fieldStart, "start_time")
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil || at.Year() < 1975 || at.Year() > 2200 {
		return time.Time{}, factf("start_time: is not a time like 2026-01-31T12:00:00.123Z, found %s", short(f[fieldStart]))
	}
	return at.UTC(), nil
}

// version reads which arm served, or would have: by the cluster, or else by the
// stamp of the assigned arm.
func (r *reader) version() (string, error) {
	cluster, err := r.fields.text(fieldCluster, "upstream_cluster")
	if err != nil {
		return "", err
	}
	if len(cluster) == 0 {
		stamp, err := r.fields.text(fieldArm, "x_sluice_arm")
		if at := bytes.LastIndexByte(stamp, '@'); err == nil && at > 0 {
			return r.keep(stamp[:at]), nil
		}
		return "", err
	}
	whole := r.keep(cluster)
	if r.whose(whole) == ofArm {
		return whole, nil
	}
	if _, version, err := name.ParseCluster(whole); err == nil {
		return version, nil
	}
	return whole, nil
}

// epoch reads the split that a request came under from the stamp of its arm, or else
// from the name of its route; and whether a tester chose the version.
func (f *fields) epoch() (epoch uint64, pinned bool, err error) {
	stamp, err := f.text(fieldArm, "x_sluice_arm")
	if err != nil {
		return 0, false, err
	}
	route, err := f.text(fieldRoute, "route_name")
	if err != nil {
		return 0, false, err
	}
	if _, epoch, err := name.ParseArm(string(stamp)); err == nil {
		return epoch, epoch == name.EpochPinned, nil
	}
	if _, epoch, err := name.ParseRoute(string(route)); err == nil {
		return epoch, epoch == name.EpochPinned, nil
	}
	return 0, false, nil // a route that Sluice did not name has no epochs
}

// entryOutcome says what became of a request by its flags, then by its status.
func (f *fields) entryOutcome() (analysis.Outcome, error) {
	flags, err := f.text(fieldFlags, "response_flags")
	if err != nil {
		return 0, err
	}
	code, found, err := f.whole(fieldCode, "response_code", 999)
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, factError("response_code: is missing")
	}
	is := kindsOf(string(flags))
	switch {
	case is.left && code < 500:
		return analysis.Abandoned, nil
	case is.slow:
		return analysis.TimedOut, nil
	case is.broken && (code == 0 || code >= 500):
		return analysis.Failed, nil
	case is.broken: // cut off amid an answer
		return analysis.TimedOut, nil
	}
	return f.judge(code)
}

// kinds are what the response flags of a request say of its end.
type kinds struct{ left, slow, broken bool }

func kindsOf(flags string) (k kinds) {
	for flag := range strings.SplitSeq(flags, ",") {
		switch flag {
		case "DC", "DR", "DPE":
			k.left = true
		case "UT", "SI", "UMSDR", "DT":
			k.slow = true
		case "UH", "LR", "UR", "UF", "UC", "UO", "UPE", "NC", "DF", "URX":
			k.broken = true
		}
	}
	return k
}
