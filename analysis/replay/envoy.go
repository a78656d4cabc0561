package replay

import (
	"bytes"
	"time"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/xds/name"
)

// EnvoyFormat is the json_format of an Envoy's access log that says all that is read.
// Answers say how many tokens they have in x-sluice-tokens, those that stream in their
// trailers.
const EnvoyFormat = `  json_format:
    start_time: "%START_TIME%"
    duration: "%DURATION%"
    response_code: "%RESPONSE_CODE%"
    upstream_cluster: "%UPSTREAM_CLUSTER%"
    response_flags: "%RESPONSE_FLAGS%"
    upstream_host: "%UPSTREAM_HOST%"
    route_name: "%ROUTE_NAME%"
    grpc_status: "%GRPC_STATUS%"
    response_duration: "%RESPONSE_DURATION%"
    x_sluice_arm: "%REQ(X-SLUICE-ARM)%"
    x_sluice_shadow: "%REQ(X-SLUICE-SHADOW)%"
    x_sluice_unit: "%REQ(X-SLUICE-UNIT)%"
    x_sluice_tokens: "%RESP(X-SLUICE-TOKENS)%"
    x_sluice_tokens_trailer: "%TRAILER(X-SLUICE-TOKENS)%"
    segment: "%REQ(X-TENANT)%"
`

// entry reads a line of an Envoy's access log in JSON: one downstream request,
// under the names that Envoy's format commands have.
func (r *reader) entry() (q analysis.Request, whose of, err error) {
	f := &r.fields
	q = analysis.Request{Attempt: 1, Issued: true}
	if q.Start, err = f.time(); err != nil {
		return q, ofOther, err
	}
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
	if q.Segment, err = r.name(fieldSegment, "segment"); err != nil {
		return q, ofOther, err
	}
	if err = f.answered(&q); err != nil {
		return q, ofOther, err
	}
	return q, r.whose(q.Version), nil
}

// answered reads when the answer began, and how long a token of it took: of one that
// streams, which says in its trailers how many it had, between two of them; of one that
// came whole, of all its time.
func (f *fields) answered(q *analysis.Request) (err error) {
	if q.FirstByte, err = f.milliseconds(fieldResponse, "response_duration", optional); err != nil {
		return err
	}
	if _, began, _ := f.number(fieldResponse, ""); began {
		q.Duration = max(1, q.Duration) // each is rounded down by itself, to 0 where it is short
		q.FirstByte = min(max(1, q.FirstByte), q.Duration)
	}
	whole, _, err := f.whole(fieldTokens, "x_sluice_tokens", 1<<31)
	if err != nil {
		return err
	}
	streamed, _, err := f.whole(fieldTrailed, "x_sluice_tokens_trailer", 1<<31)
	switch {
	case err != nil, q.Outcome != analysis.Succeeded:
	case streamed > 1 && q.FirstByte > 0:
		q.PerToken = max(1, (q.Duration-q.FirstByte)/time.Duration(streamed-1))
	case streamed == 0 && whole > 0:
		q.PerToken = max(1, q.Duration/time.Duration(whole))
	}
	return err
}

// time reads Envoy's %START_TIME%.
func (f *fields) time() (time.Time, error) {
	text, err := f.text(fieldStart, "start_time")
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil || at.Year() < 2002 || at.Year() > 2200 {
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
