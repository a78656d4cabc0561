package accesslog

import (
	"net/netip"
	"strconv"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	entrypb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"

	"github.com/sluice-dev/sluice/analysis"
	"github.com/sluice-dev/sluice/config"
	"github.com/sluice-dev/sluice/xds/name"
)

// headerAttempt counts a request's attempts from 1, in what each attempt sends.
const headerAttempt = "x-envoy-attempt-count"

// result is what became of an entry.
type result int

const (
	attributed result = iota
	leftOut           // it tells of no request of its own
	unended           // it waits for the entry that says how it ended
	// What is missing, or makes no sense.
	noCluster
	noEpoch
	noAttempt
	noTime
	results
)

// String names what is missing, as metrics label it.
func (r result) String() string {
	return [results]string{"attributed", "left-out", "unended", "cluster", "epoch", "attempt", "time"}[r]
}

// attribution reads the entries of one stream. What it remembers of earlier
// entries is the few names that they repeat, and how the latest ended.
type attribution struct {
	proxy    string
	clusters map[string]arm
	epochs   map[string]uint64
	pods     map[pod]string
	endings  endings
}

// arm is a version of an inference route.
type arm struct {
	route   config.Key
	version string
}

type pod struct {
	address string
	port    uint32
}

// remembered bounds each memory; a full one starts again.
const remembered = 4096

func newAttribution(proxy string) *attribution {
	return &attribution{
		proxy:    proxy,
		clusters: map[string]arm{},
		epochs:   map[string]uint64{},
		pods:     map[pod]string{},
		endings:  newEndings(),
	}
}

// attribute says which request an entry tells of. Every attempt has an entry of
// its own (UpstreamEnd), mirrored ones too. The entry of the whole request
// (DownstreamEnd) is one only where there was no attempt, so that no request is
// told twice; otherwise it may say how an attempt ended that is still waiting.
func (a *attribution) attribute(e *entrypb.HTTPAccessLogEntry) (analysis.Request, result) {
	common := e.GetCommonProperties()
	switch common.GetAccessLogType() {
	case entrypb.AccessLogType_UpstreamEnd:
		r, what := a.attempt(e)
		if what == attributed && cutOff(e) {
			return a.endings.attempt(e.GetRequest().GetRequestId(), r)
		}
		return r, what
	case entrypb.AccessLogType_DownstreamEnd:
		if unattempted(common) {
			return a.request(e)
		}
		return a.endings.request(e.GetRequest().GetRequestId(), clientLeft(common.GetResponseFlags()))
	}
	return analysis.Request{}, leftOut
}

// attempt reads an attempt's entry. Its cluster is the arm that it went to, also
// where a retry went to another than its request was assigned; its epoch is of
// the split that assigned the request.
func (a *attribution) attempt(e *entrypb.HTTPAccessLogEntry) (analysis.Request, result) {
	common, headers := e.GetCommonProperties(), e.GetRequest().GetRequestHeaders()
	r := analysis.Request{Proxy: a.proxy, Attempt: 1}
	stamp := headers[name.HeaderShadow]
	if r.Shadow = stamp != ""; !r.Shadow {
		stamp = headers[name.HeaderArm]
		n, err := strconv.ParseUint(headers[headerAttempt], 10, 32)
		if err != nil || n == 0 {
			return r, noAttempt
		}
		r.Attempt = uint32(n)
	}
	cluster := common.GetUpstreamCluster()
	if cluster == "" { // UO
		cluster = common.GetCustomTags()[name.TagArm]
	}
	arm, ok := a.arm(cluster)
	if !ok {
		return r, noCluster
	}
	r.Pod = a.pod(common.GetUpstreamRemoteAddress())
	r.Issued = issued(common)
	r.Outcome = attemptOutcome(e)
	return r, a.fill(&r, common, arm, stamp)
}

// request reads the entry of a request that had no attempt: the arm failed it.
func (a *attribution) request(e *entrypb.HTTPAccessLogEntry) (analysis.Request, result) {
	common := e.GetCommonProperties()
	r := analysis.Request{Proxy: a.proxy, Outcome: analysis.Failed}
	stamp := e.GetRequest().GetRequestHeaders()[name.HeaderArm]
	arm, ok := a.arm(common.GetCustomTags()[name.TagArm])
	if !ok { // NC
		stamp = e.GetResponse().GetResponseHeaders()[name.HeaderServed]
		if arm, ok = armOf(common.GetRouteName(), stamp); !ok {
			return r, noCluster
		}
	}
	return r, a.fill(&r, common, arm, stamp)
}

// armOf reads the names that Envoy knows of a cluster that does not exist.
func armOf(routeName, stamp string) (arm, bool) {
	route, _, errRoute := name.ParseRoute(routeName)
	version, _, errStamp := name.ParseArm(stamp)
	return arm{route, version}, errRoute == nil && errStamp == nil
}

// fill sets what every entry tells alike.
func (a *attribution) fill(r *analysis.Request, common *entrypb.AccessLogCommon, arm arm, stamp string) result {
	r.Route, r.Version = arm.route, arm.version
	var ok bool
	if r.Epoch, ok = a.epoch(stamp, common.GetRouteName()); !ok {
		return noEpoch
	}
	if common.GetStartTime() == nil || common.GetDuration() == nil {
		return noTime
	}
	r.Start = common.GetStartTime().AsTime()
	r.Duration = common.GetDuration().AsDuration()
	return attributed
}

func (a *attribution) arm(cluster string) (arm, bool) {
	if known, ok := a.clusters[cluster]; ok {
		return known, true
	}
	route, version, err := name.ParseCluster(cluster)
	if err != nil {
		return arm{}, false
	}
	remember(a.clusters, cluster, arm{route, version})
	return arm{route, version}, true
}

// epoch reads the stamp of an arm, or else the name of the route.
func (a *attribution) epoch(stamp, route string) (uint64, bool) {
	from := stamp
	if from == "" {
		from = route
	}
	if known, ok := a.epochs[from]; ok {
		return known, true
	}
	_, epoch, err := name.ParseArm(from) // a route's name ends in the same way
	if err != nil {
		return 0, false
	}
	remember(a.epochs, from, epoch)
	return epoch, true
}

// pod writes an upstream address as host:port, or as the path of a socket.
func (a *attribution) pod(address *corepb.Address) string {
	socket := address.GetSocketAddress()
	if socket == nil {
		return address.GetPipe().GetPath()
	}
	key := pod{socket.GetAddress(), socket.GetPortValue()}
	if known, ok := a.pods[key]; ok {
		return known
	}
	text := key.address + ":" + strconv.FormatUint(uint64(key.port), 10)
	if ip, err := netip.ParseAddr(key.address); err == nil {
		text = netip.AddrPortFrom(ip, uint16(key.port)).String() //nolint:gosec // Envoy's own socket: a port
	}
	remember(a.pods, key, text)
	return text
}

func remember[K comparable, V any](m map[K]V, k K, v V) {
	if len(m) >= remembered {
		clear(m)
	}
	m[k] = v
}
