package ads

import (
	"fmt"
	"strings"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// oldest is the first Envoy that takes all that xds makes.
const oldest = 36 // 1.36

// unfit says why a node cannot be served, and what to do; empty if it can. The
// node is told, and tries again with its own back-off.
func unfit(node *corepb.Node) string {
	version := node.GetUserAgentBuildVersion().GetVersion()
	switch agent := node.GetUserAgentName(); {
	case node.GetId() == "":
		return "node.id: is empty; every proxy needs one of its own: start it with what 'sluice bootstrap' prints"
	case agent != "" && !strings.EqualFold(agent, "envoy"):
		return fmt.Sprintf("node.user_agent_name: %q is no Envoy, and only Envoys are served here", agent)
	case version != nil && version.GetMajorNumber() == 1 && version.GetMinorNumber() < oldest:
		return fmt.Sprintf("node.user_agent_build_version: Envoy %s is older than 1.%d, and would refuse what it is sent", buildOf(node), oldest)
	}
	return ""
}

// told is how many refused nodes are remembered, so that each is logged once and
// not with every try.
const told = 1000

// refusing a node is logged once.
func (s *Server) logRefusal(node *corepb.Node, why string) {
	key := node.GetId() + "\x00" + why
	if s.refusedNodes[key] || len(s.refusedNodes) >= told {
		return
	}
	s.refusedNodes[key] = true
	s.cfg.Log.Warn("a proxy is refused", "proxy", node.GetId(), "why", why)
}
