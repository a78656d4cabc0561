// Package name spells the names and stamps that tie Envoy's signals back to an
// inference route, a version and an epoch, and reads them back. It is pure and
// knows no Envoy type, so that both sides of the loop may use it.
package name

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-dev/sluice/config"
)

// Headers that carry stamps.
const (
	HeaderArm    = "x-sluice-arm"    // request: the assigned arm, Arm's form
	HeaderServed = "x-sluice"        // response: the arm that served, Arm's form
	HeaderShadow = "x-sluice-shadow" // request: set on mirrored copies, Arm's form; wins over all others
	// HeaderSegment holds, in a request under an analysis that watches segments, the
	// name of its own.
	HeaderSegment = "x-sluice-segment"
	// HeaderUnit holds, in a request of an inference route with sticky units, its unit.
	HeaderUnit = "x-sluice-unit"
	// HeaderDigest is set by model servers, in a response or its trailers: a hash of the
	// answer, or a label, which is the same for equal answers.
	HeaderDigest = "x-sluice-digest"
	// HeaderTokens is set by model servers, in the trailers of a response that streams, or
	// in the headers of one that comes whole: how many tokens it has.
	HeaderTokens = "x-sluice-tokens" //nolint:gosec // a count
	// HeaderCopy tells copies of one request to one version apart: "1" or "2".
	HeaderCopy = "x-sluice-copy"
	// MetadataCluster names, to who reads the bodies of answers to copies, the cluster
	// that answered.
	MetadataCluster = "x-sluice-cluster"
	// TagArm is the custom tag of access logs that holds the serving cluster.
	TagArm = "arm"
	// TagAge is the custom tag of access logs that holds for how many milliseconds what the
	// entry tells of has lasted.
	TagAge = "age"
)

// Attributes of a copied request that come with the answer to it, in Envoy's words.
const (
	AttributeID     = "request.id"
	AttributeShadow = "request.headers['" + HeaderShadow + "']"
	AttributeCopy   = "request.headers['" + HeaderCopy + "']"
)

// EpochPinned is the epoch of requests that a tester pinned to a version. No split
// has it, so what is stamped with it is nobody's evidence.
const EpochPinned = 0

// Cluster names the cluster and the EDS service of a version:
// "namespace/name/version".
func Cluster(route config.Key, version string) string {
	return route.Namespace + "/" + route.Name + "/" + version
}

// copies ends the names of clusters for copies alone. No version's name has it.
const copies = "~copies"

// Copies names a version's cluster of copies, whose answers are read.
func Copies(route config.Key, version string) string { return Cluster(route, version) + copies }

// IsCopies says whether a cluster's name has the form of Copies.
func IsCopies(s string) bool { return strings.HasSuffix(s, copies) }

// ParseCluster reads Cluster's form back, or that of Copies.
func ParseCluster(s string) (route config.Key, version string, err error) {
	parts := strings.Split(strings.TrimSuffix(s, copies), "/")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return config.Key{}, "", fmt.Errorf("cluster name %q: is not namespace/name/version", s)
	}
	return config.Key{Namespace: parts[0], Name: parts[1]}, parts[2], nil
}

// Covered names the cluster of a version that another one takes over from where it
// has no healthy endpoint: "namespace/name/version/by".
func Covered(route config.Key, version, by string) string { return Cluster(route, version) + "/" + by }

// ParseAssigned reads a cluster that requests are assigned to, in Cluster's or
// Covered's form. by is empty where nobody takes over.
func ParseAssigned(s string) (route config.Key, version, by string, err error) {
	cluster := s
	if strings.Count(s, "/") == 3 {
		at := strings.LastIndexByte(s, '/')
		cluster, by = s[:at], s[at+1:]
		if by == "" {
			return config.Key{}, "", "", fmt.Errorf("cluster name %q: is not namespace/name/version/by", s)
		}
	}
	route, version, err = ParseCluster(cluster)
	return route, version, by, err
}

// Route names an Envoy route: "namespace/name@epoch".
func Route(route config.Key, epoch uint64) string {
	return route.String() + "@" + strconv.FormatUint(epoch, 10)
}

// ParseRoute reads Route's form back.
func ParseRoute(s string) (route config.Key, epoch uint64, err error) {
	rest, epoch, err := cutEpoch(s)
	if err != nil {
		return config.Key{}, 0, fmt.Errorf("route name %q: %w", s, err)
	}
	namespace, name, ok := strings.Cut(rest, "/")
	if !ok || namespace == "" || name == "" {
		return config.Key{}, 0, fmt.Errorf("route name %q: is not namespace/name@epoch", s)
	}
	return config.Key{Namespace: namespace, Name: name}, epoch, nil
}

// Arm stamps a version and an epoch: "version@epoch".
func Arm(version string, epoch uint64) string {
	return version + "@" + strconv.FormatUint(epoch, 10)
}

// ParseArm reads Arm's form back.
func ParseArm(s string) (version string, epoch uint64, err error) {
	version, epoch, err = cutEpoch(s)
	if err != nil || version == "" {
		return "", 0, fmt.Errorf("arm %q: is not version@epoch", s)
	}
	return version, epoch, nil
}

func cutEpoch(s string) (rest string, epoch uint64, err error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "", 0, fmt.Errorf("has no @epoch")
	}
	epoch, err = strconv.ParseUint(s[at+1:], 10, 64)
	if err != nil {
		return "", 0, fmt.Errorf("epoch %q is not a number", s[at+1:])
	}
	return s[:at], epoch, nil
}
