package xds

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Type is the type URL of a kind of Envoy resource.
type Type string

// Types, in the order in which Envoy wants to hear of them.
const (
	TypeCluster  Type = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	TypeEndpoint Type = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	TypeListener Type = "type.googleapis.com/envoy.config.listener.v3.Listener"
	TypeScope    Type = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"
	TypeRoute    Type = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// Resource is one Envoy resource as it goes over the wire.
type Resource struct {
	Name string
	// Version is a hash of what a proxy has to hear. Equal resources have equal
	// versions on every replica and after every restart.
	Version string
	// Body is the deterministic protobuf encoding, the value of an Any. Never
	// written to.
	Body []byte
	// Needs are what a proxy must know before it may be told of this one, sorted.
	Needs []Ref
}

// Ref names a resource in any version.
type Ref struct {
	Type Type
	Name string
}

// Compare orders references by type, then name.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Type, o.Type), cmp.Compare(r.Name, o.Name))
}

// message is what every generated Envoy type offers.
type message interface {
	proto.Message
	ValidateAll() error
}

// newResource checks and encodes m. The salt goes into the version only.
func newResource(name string, m message, salt ...byte) (Resource, error) {
	body, err := encode(m)
	if err != nil {
		return Resource{}, err
	}
	return Resource{Name: name, Version: hash(append(slices.Clip(body), salt...)), Body: body}, nil
}

// encode checks m against Envoy's rules. It does not look into an Any, so
// whatever is packed is encoded by pack.
func encode(m message) ([]byte, error) {
	if err := m.ValidateAll(); err != nil {
		return nil, fmt.Errorf("envoy refuses it: %w", err)
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func pack(m message) (*anypb.Any, error) {
	body, err := encode(m)
	if err != nil {
		return nil, err
	}
	return &anypb.Any{TypeUrl: "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName()), Value: body}, nil
}

// hash is short because every proxy is sent it with every change: 96 bits.
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// longest is the longest time that Envoy takes, which counts nanoseconds, too, and
// refuses the last second of what fits.
const longest = 9_223_372_035 * time.Second

func duration(d time.Duration) *durationpb.Duration { return durationpb.New(min(d, longest)) }
