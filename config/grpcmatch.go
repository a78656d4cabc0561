package config

import "regexp"

// GRPCMatch selects gRPC requests by what they call. It has one of its fields, or
// both.
type GRPCMatch struct {
	Service string `json:"service,omitempty"` // with its package, as inference.GRPCInferenceService; empty matches all
	Method  string `json:"method,omitempty"`  // as ModelInfer; empty matches all
}

// Path selects the same requests: gRPC calls /service/method.
func (m GRPCMatch) Path() PathMatch {
	switch {
	case m.Method == "":
		return PathMatch{Type: PathPrefix, Value: "/" + m.Service}
	case m.Service == "":
		return PathMatch{Type: PathExpression, Value: "/[^/]+/" + regexp.QuoteMeta(m.Method)}
	}
	return PathMatch{Type: PathExact, Value: "/" + m.Service + "/" + m.Method}
}

// ByPath gives a match that selects the same requests, with a path in the place of
// grpc.
func (m Match) ByPath() Match {
	if m.GRPC != nil {
		path := m.GRPC.Path()
		m.Path, m.GRPC = &path, nil
	}
	return m
}

func (c *checker) grpcMatch(path string, s RouteSpec, m Match) {
	switch {
	case m.GRPC == nil:
		return
	case s.Protocol != ProtocolGRPC && c.sound("spec.protocol"):
		c.refuse(path, "needs spec.protocol grpc", raw(s.Protocol))
	case m.Path != nil:
		c.refusef(path, "does not go with path: gRPC's path is its service and method")
	case *m.GRPC == GRPCMatch{}:
		c.refusef(path, "has neither service nor method: leave it out to match every request")
	}
	if m.GRPC.Service != "" && !isGRPCName(m.GRPC.Service, true) {
		c.refuse(path+".service", "is not a service's name such as inference.GRPCInferenceService", m.GRPC.Service)
	}
	if m.GRPC.Method != "" && !isGRPCName(m.GRPC.Method, false) {
		c.refuse(path+".method", "is not a method's name such as ModelInfer", m.GRPC.Method)
	}
}

// isGRPCName reads a protobuf identifier, or several with dots between them.
func isGRPCName(name string, dots bool) bool {
	start := true
	for _, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		digit := r >= '0' && r <= '9'
		switch {
		case letter:
			start = false
		case digit && !start:
		case r == '.' && dots && !start:
			start = true
		default:
			return false
		}
	}
	return !start
}

func (c *checker) modelMatch(path string, s RouteSpec, model string) {
	switch {
	case model == "":
		return
	case s.Protocol != ProtocolOpenAI && c.sound("spec.protocol"):
		c.refuse(path, "needs spec.protocol openai: only there a body names its model", model)
	case len(model) > maxExpression:
		c.refusef(path, "is longer than %d characters", maxExpression)
	}
}
