package accesslog

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

// What attribution reads, beside Envoy's own fields.
const (
	headerArm     = name.HeaderArm
	headerShadow  = name.HeaderShadow
	headerServed  = name.HeaderServed
	headerSegment = name.HeaderSegment
	headerUnit    = name.HeaderUnit
	headerDigest  = name.HeaderDigest
	headerTokens  = name.HeaderTokens
	headerAttempt = "x-envoy-attempt-count" // counts a request's attempts from 1, in what each attempt sends
	headerGRPC    = "grpc-status"
	tagArm        = name.TagArm
	tagAge        = name.TagAge
)

const (
	upstreamEnd      = uint64(entrypb.AccessLogType_UpstreamEnd)
	upstreamPeriodic = uint64(entrypb.AccessLogType_UpstreamPeriodic)
	downstreamEnd    = uint64(entrypb.AccessLogType_DownstreamEnd)
)

// result is what became of an entry.
type result int

const (
	attributed result = iota
	leftOut           // it tells of no request of its own
	unended           // it waits for the entry that says how it ended
	// What is missing, or makes no sense.
	noEntry
	noCluster
	noEpoch
	noAttempt
	noTime
	results
)

// String names what is missing, as metrics label it.
func (r result) String() string {
	return [results]string{"attributed", "left-out", "unended", "entry", "cluster", "epoch", "attempt", "time"}[r]
}

// attribution reads the entries of one stream. What it remembers of earlier
// entries is the few names that they repeat, and how the latest ended.
type attribution struct {
	proxy   string
	arms    map[string]arm    // by cluster
	epochs  map[string]uint64 // by stamp or name of a route
	pods    map[pod]string
	names   map[string]string // hosts and segments
	endings endings
	told    *told     // of all streams of the proxy
	now     time.Time // when the present message came
	// spared is what the latest entry told of beside its own request.
	spared *analysis.Request
	// scratch is where short texts are written.
	scratch [32]byte
}

// arm is a version of an inference route.
type arm struct {
	route   config.Key
	version string
	by      string // the version that takes over where this one has no endpoint; empty is none
}

type pod struct {
	host string
	port uint64
}

// remembered bounds each memory; a full one starts again.
const remembered = 4096

func newAttribution(proxy string, told *told) *attribution {
	return &attribution{
		proxy:   proxy,
		arms:    map[string]arm{},
		epochs:  map[string]uint64{},
		pods:    map[pod]string{},
		names:   map[string]string{},
		endings: newEndings(),
		told:    told,
	}
}

// attribute says which request an entry tells of. Every attempt has an entry of
// its own (UpstreamEnd), mirrored ones too. The entry of the whole request
// (DownstreamEnd) is one only where there was no attempt, so that no request is
// told twice; otherwise it may say how an attempt ended that is still waiting. An
// attempt that runs for long has entries meanwhile (UpstreamPeriodic).
func (a *attribution) attribute(b []byte) (analysis.Request, result) {
	e, ok := readEntry(b)
	switch {
	case !ok:
		return analysis.Request{}, noEntry
	case e.kind == upstreamEnd:
		r, what := a.attempt(&e)
		r.Told = what == attributed && a.told.ended(&r)
		if what == attributed && e.cutOff() {
			return a.endings.attempt(r)
		}
		return r, what
	case e.kind == upstreamPeriodic && e.firstByte > 0: // its answer has begun
		return a.running(&e)
	case e.kind == upstreamPeriodic:
		return a.waiting(&e)
	case e.kind == downstreamEnd && e.unattempted():
		return a.request(&e)
	case e.kind == downstreamEnd:
		return a.endings.request(&e)
	}
	return analysis.Request{}, leftOut
}

// running tells once of a live first attempt that its answer has begun, unless that is
// an error's.
func (a *attribution) running(e *entry) (analysis.Request, result) {
	e.duration, e.timed = e.firstByte, !e.start.IsZero() // it has none of its own
	r, what := a.attempt(e)
	a.spared = nil // it is told when the attempt ends
	switch {
	case what != attributed:
		return r, what
	case e.code >= 400, !a.told.running(a.now, &r):
		return r, leftOut
	}
	r.Running, r.Outcome = true, analysis.Succeeded
	return r, attributed
}

// waiting tells of a first attempt, a mirrored one too, that no byte of its answer has
// come yet: as often as its proxy does. Without an id, its end could not be told from
// another's.
func (a *attribution) waiting(e *entry) (analysis.Request, result) {
	age, err := strconv.ParseUint(string(e.age), 10, 32)
	if err != nil {
		return analysis.Request{}, leftOut // its proxy was given an earlier configuration
	}
	e.duration, e.timed = time.Duration(age)*time.Millisecond, !e.start.IsZero()
	r, what := a.attempt(e)
	a.spared = nil // it is told when the attempt ends
	switch {
	case what != attributed:
		return r, what
	case r.ID == "" || r.Attempt > 1 || r.Pinned:
		return r, leftOut
	}
	r.Running, r.Outcome = true, analysis.Succeeded
	return r, attributed
}

// attempt reads an attempt's entry. Its cluster is the arm that it went to, also
// where a retry went to another than its request was assigned; its epoch is of
// the split that assigned the request.
func (a *attribution) attempt(e *entry) (analysis.Request, result) {
	r := analysis.Request{
		Proxy: a.proxy, Attempt: 1, Shadow: len(e.shadowHeader) > 0,
		Pod: a.pod(e), Issued: e.issued(), Outcome: e.outcome(),
	}
	stamp := e.shadowHeader
	if !r.Shadow {
		stamp = e.armHeader
		n, err := strconv.ParseUint(string(e.attemptHeader), 10, 32)
		if err != nil || n == 0 {
			return r, noAttempt
		}
		r.Attempt = uint32(n)
	}
	cluster := e.cluster
	if len(cluster) == 0 { // UO
		cluster = e.arm
	}
	arm, ok := a.arm(cluster)
	if !ok {
		return r, noCluster
	}
	what := a.fill(&r, e, arm, stamp)
	if what == attributed && r.Attempt == 1 && bytes.IndexByte(e.armHeader, '/') >= 0 {
		a.spare(&r, e)
	}
	return r, what
}

// spare tells apart the two requests of an attempt by a version that stood in for
// the one its request was assigned to: that had no endpoint and failed it, and the
// attempt is as a retry.
func (a *attribution) spare(r *analysis.Request, e *entry) {
	assigned, ok := a.arm(e.armHeader[:max(0, bytes.LastIndexByte(e.armHeader, '@'))])
	if !ok || r.Shadow || assigned.by != r.Version {
		return
	}
	missed := *r
	missed.Version, missed.Attempt, missed.Outcome = assigned.version, 0, analysis.Failed
	missed.Pod, missed.Issued, missed.Duration, missed.Status, missed.Digest = "", false, 0, "", ""
	a.spared = &missed
	r.Attempt = 2
}

// request reads the entry of a request that had no attempt: the arm failed it.
func (a *attribution) request(e *entry) (analysis.Request, result) {
	r := analysis.Request{Proxy: a.proxy, Outcome: analysis.Failed}
	stamp := e.armHeader
	arm, ok := a.arm(e.arm)
	if !ok { // NC
		stamp = e.servedHeader
		if arm, ok = armOf(string(e.route), string(stamp)); !ok {
			return r, noCluster
		}
	}
	return r, a.fill(&r, e, arm, stamp)
}

// armOf reads the names that Envoy knows of a cluster that does not exist.
func armOf(routeName, stamp string) (arm, bool) {
	route, _, errRoute := name.ParseRoute(routeName)
	version, _, errStamp := name.ParseArm(stamp)
	return arm{route: route, version: version}, errRoute == nil && errStamp == nil
}

// fill sets what every entry tells alike.
func (a *attribution) fill(r *analysis.Request, e *entry, arm arm, stamp []byte) result {
	r.Route, r.Version = arm.route, arm.version
	r.Start, r.Duration, r.FirstByte = e.start, e.duration, e.firstByte
	r.PerToken = e.perToken()
	r.Segment, r.Unit = a.text(said(e.segmentHeader, longestSegment)), string(said(e.unitHeader, analysis.LongestUnit))
	r.ID, r.Status, r.Digest = string(e.requestID), a.status(e), string(said(e.digestHeader, longestDigest))
	var ok bool
	if r.Epoch, ok = a.epoch(stamp, e.route); !ok {
		return noEpoch
	}
	r.Pinned = r.Epoch == name.EpochPinned
	if !e.timed {
		return noTime
	}
	return attributed
}

func (a *attribution) arm(cluster []byte) (arm, bool) {
	if known, ok := a.arms[string(cluster)]; ok {
		return known, true
	}
	route, version, by, err := name.ParseAssigned(string(cluster))
	if err != nil {
		return arm{}, false
	}
	remember(a.arms, string(cluster), arm{route, version, by})
	return arm{route, version, by}, true
}

// epoch reads the stamp of an arm, or else the name of the route.
func (a *attribution) epoch(stamp, route []byte) (uint64, bool) {
	from := stamp
	if len(from) == 0 {
		from = route
	}
	if known, ok := a.epochs[string(from)]; ok {
		return known, true
	}
	_, epoch, err := name.ParseArm(string(from)) // a route's name ends in the same way
	if err != nil {
		return 0, false
	}
	remember(a.epochs, string(from), epoch)
	return epoch, true
}

// pod writes an upstream address as host:port, or as the path of a socket.
func (a *attribution) pod(e *entry) string {
	if len(e.host) == 0 {
		return ""
	}
	key := pod{a.text(e.host), e.port}
	if known, ok := a.pods[key]; ok {
		return known
	}
	remember(a.pods, key, key.String())
	return key.String()
}

// text keeps one copy of a name that many entries repeat.
func (a *attribution) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	known, ok := a.names[string(b)]
	if !ok {
		known = string(b)
		remember(a.names, known, known)
	}
	return known
}

// longestSegment is how much of a segment's name is kept.
const longestSegment = 64

// said is what a header tells, cut to some bytes. Envoy writes "-" for what is not there.
func said(header []byte, most int) []byte {
	if string(header) == "-" {
		return nil
	}
	return header[:min(len(header), most)]
}

// String gives host:port; a path has no port.
func (p pod) String() string {
	ip, err := netip.ParseAddr(p.host)
	switch {
	case err == nil && p.port <= 65535:
		return netip.AddrPortFrom(ip, uint16(p.port)).String()
	case p.port == 0:
		return p.host
	}
	return p.host + ":" + strconv.FormatUint(p.port, 10)
}

func remember[K comparable, V any](m map[K]V, k K, v V) {
	if len(m) >= remembered {
		clear(m)
	}
	m[k] = v
}
