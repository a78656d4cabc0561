package config

// InferenceRoute is one logical model endpoint: where requests come in, which
// versions can answer, and how traffic moves between them.
type InferenceRoute struct {
	Key       `json:"-"`
	Metadata  `json:"-"`
	RouteSpec `json:"spec"`

	// SegmentHeader is the header of the policy's segments, where the policy that is in
	// force is known to whoever publishes. No user writes it.
	SegmentHeader string `json:"-"`

	// Answers compares those of copies, where the policy that is in force is known to
	// whoever publishes. No user writes it.
	Answers *Metric `json:"-"`
}

// RouteSpec is the spec of an InferenceRoute.
type RouteSpec struct {
	// Hostnames are matched against the request's authority, without port and
	// case. Empty matches every hostname.
	Hostnames []string `json:"hostnames,omitempty"`

	// Listener is where Envoy accepts requests for this inference route.
	Listener Listener `json:"listener"`

	// Protocol is http, grpc or openai. Default http.
	Protocol Protocol `json:"protocol,omitempty" default:"http"`

	// Matches select requests, in Gateway API's form; a request needs one of them,
	// with all of its parts. Empty matches every request of the hostnames.
	Matches []Match `json:"matches,omitempty"`

	// Timeouts bound a request.
	Timeouts Timeouts `json:"timeouts"`

	// Versions are the immutable deployables of the model behind this route.
	Versions []Version `json:"versions"`

	// Target is the version users should get; changing it begins a rollout. Only
	// with strategy.canary. Default: the only version, where there is one.
	Target string `json:"target,omitempty"`

	// InitialStable seeds an empty state. Required with strategy.canary where there
	// is more than one version. Default: the only version.
	InitialStable string `json:"initialStable,omitempty"`

	// Attempt, when raised, tries a target again that was rolled back. Default 0.
	Attempt int64 `json:"attempt,omitempty"`

	// Stickiness keeps a unit, such as a user, with one version. Default: every
	// request is drawn by itself.
	Stickiness *Stickiness `json:"stickiness,omitempty"`

	// Overrides give requests of testers to a version of their choice; the first that
	// matches counts. Default none.
	Overrides []Override `json:"overrides,omitempty"`

	// Strategy is exactly one of canary, split, abTest and shadow.
	Strategy Strategy `json:"strategy"`

	// Protect spares users failures of a candidate. Only with strategy.canary. Default:
	// they see them.
	Protect Protect `json:"protect,omitzero"`

	// Mirroring says whether requests may be copied to a version that users are not
	// served by, as a shadow, a shadow step and settling a trip do. Default Forbidden.
	Mirroring Mirroring `json:"mirroring,omitempty" default:"Forbidden"`

	// Analysis names the policy that judges a rollout, or, of its metric answers alone, a
	// shadow. Only with strategy.canary, whose default is standard, and strategy.shadow,
	// which by default is not judged.
	Analysis Analysis `json:"analysis,omitzero"`
}

// Listener is a port that Envoy opens.
type Listener struct {
	Port uint32 `json:"port"` // 1 to 65535
	// Address to bind. Default 127.0.0.1.
	Address string `json:"address,omitempty" default:"127.0.0.1"`
}

// Protocol is what clients and versions speak.
type Protocol string

// Protocols.
const (
	ProtocolHTTP Protocol = "http"
	ProtocolGRPC Protocol = "grpc" // HTTP/2 to the versions; gRPC status counts as status
	// ProtocolOpenAI is http with JSON bodies that name a model, so that matches can.
	ProtocolOpenAI Protocol = "openai"
)

// Match selects requests. All of its parts must hold.
type Match struct {
	Path    *PathMatch    `json:"path,omitempty"`
	Headers []HeaderMatch `json:"headers,omitempty"`
	Method  string        `json:"method,omitempty"` // GET, POST, …; empty matches all
	// GRPC selects calls by service and method. Only with protocol grpc.
	GRPC *GRPCMatch `json:"grpc,omitempty"`
	// Model is what a JSON body names in its field "model", whole and with its case.
	// Envoy reads such bodies whole before it routes, up to 16 MiB, and answers 413 to
	// longer ones, on every inference route of the port. A match with a model comes
	// before those without, whatever their paths. Only with protocol openai.
	Model string `json:"model,omitempty"`
}

// PathMatch is Gateway API's HTTPPathMatch.
type PathMatch struct {
	Type  PathMatchType `json:"type,omitempty" default:"PathPrefix"` // how Value is compared
	Value string        `json:"value"`                               // starts with /
}

// PathMatchType is Exact, PathPrefix or RegularExpression.
type PathMatchType string

// Path match types, as Gateway API spells them.
const (
	PathExact      PathMatchType = "Exact"
	PathPrefix     PathMatchType = "PathPrefix"
	PathExpression PathMatchType = "RegularExpression" // RE2, whole path
)

// HeaderMatch is Gateway API's HTTPHeaderMatch.
type HeaderMatch struct {
	Name  string          `json:"name"`                           // of the header, whatever its case
	Type  HeaderMatchType `json:"type,omitempty" default:"Exact"` // how Value is compared
	Value string          `json:"value"`                          // of the header, with its case
}

// HeaderMatchType is Exact or RegularExpression.
type HeaderMatchType string

// Header match types, as Gateway API spells them.
const (
	HeaderExact      HeaderMatchType = "Exact"
	HeaderExpression HeaderMatchType = "RegularExpression"
)

// Timeouts bound a request.
type Timeouts struct {
	// Request bounds a request from its last byte in to its last byte out.
	// Default 30s.
	Request Duration `json:"request" default:"30s"`
}

// Version is one immutable deployable of the model: its name, model and backend
// together.
type Version struct {
	// Name is a DNS label, unique in the inference route.
	Name string `json:"name"`
	// Endpoints are address:port pairs, each one pod. The address is an IP address:
	// a name may stand for several pods, which could not be told apart.
	Endpoints []string `json:"endpoints"`
	// Health is how Envoy and Sluice check an endpoint. Default: a TCP connection.
	Health *Health `json:"health,omitempty"`
	// Model says what is served, for reviews.
	Model *Model `json:"model,omitempty"`
}

// Health is an HTTP check of an endpoint.
type Health struct {
	Path string `json:"path"` // asked with GET; answers 200 when ready
	// Interval between checks. Default 1s.
	Interval Duration `json:"interval" default:"1s"`
}

// Model identifies what a version serves.
type Model struct {
	Name    string `json:"name,omitempty"`    // such as magika
	Version string `json:"version,omitempty"` // such as "3.3"; in quotes, to be a text
	Digest  string `json:"digest,omitempty"`  // sha256:<64 hex digits>
}

// Mirroring is Allowed or Forbidden.
type Mirroring string

// Mirroring values.
const (
	MirroringForbidden Mirroring = "Forbidden"
	MirroringAllowed   Mirroring = "Allowed"
)

// Analysis names a policy in the route's namespace, or the built-in one.
type Analysis struct {
	Policy string `json:"policy,omitempty"` // with strategy.canary, default standard
}

// Strategy is exactly one of its fields.
type Strategy struct {
	Canary *Canary     `json:"canary,omitempty"`
	Split  *FixedSplit `json:"split,omitempty"`
	ABTest *ABTest     `json:"abTest,omitempty"`
	Shadow *Shadow     `json:"shadow,omitempty"`
}

// Name gives the field's name in YAML, or "" where there is none.
func (s Strategy) Name() string {
	switch {
	case s.Canary != nil:
		return "canary"
	case s.Split != nil:
		return "split"
	case s.ABTest != nil:
		return "abTest"
	case s.Shadow != nil:
		return "shadow"
	}
	return ""
}

// FixedSplit divides traffic by hand, with no analysis.
type FixedSplit struct {
	Weights map[string]Percent `json:"weights"` // version to share; sums to 100%
}

// Canary moves traffic from stable to candidate step by step, on evidence.
type Canary struct {
	Steps []Step `json:"steps"`
	// Bake is how long the old stable is kept and the new one watched after
	// promotion. Default 0: not at all.
	Bake Duration `json:"bake,omitempty"`
	// RollbackWindow lists what may come back at once, with no steps.
	RollbackWindow RollbackWindow `json:"rollbackWindow,omitzero"`
}

// Step is one of weight and shadow (each with for) and approve.
type Step struct {
	// Weight is the candidate's share while this step lasts.
	Weight Percent `json:"weight,omitempty"`
	// Shadow copies this share of stable's requests to the candidate while this step
	// lasts; users get stable alone. Only before the first weight, and with mirroring:
	// Allowed.
	Shadow Percent `json:"shadow,omitempty"`
	// For is the least time of the step; evidence decides the rest, but of a shadow
	// step, which time ends. Default: the policy's limits.minStep.
	For Duration `json:"for,omitempty"`
	// Approve waits for a person at the weight of the step before.
	Approve *Approve `json:"approve,omitempty"`
}

// Approve is a gate.
type Approve struct {
	// Timeout fails the rollout when nobody has answered. Zero waits for ever.
	Timeout Duration `json:"timeout,omitempty"`
}

// MostFormers is how many former stables are remembered.
const MostFormers = 10

// RollbackWindow bounds which former stables may return without steps.
type RollbackWindow struct {
	Versions int      `json:"versions,omitempty"` // newest former stables, at most 10; default 0
	Age      Duration `json:"age,omitempty"`      // since they were stable; default 0: any age
}

// Version finds a version by name.
func (s RouteSpec) Version(name string) (Version, bool) {
	for _, v := range s.Versions {
		if v.Name == name {
			return v, true
		}
	}
	return Version{}, false
}
